//! A disk that fails on command: [disk.c](disk.c) under the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::service::{program, skip};

/// A fault that lasts while it is ordered.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    Full,
    Broken,
    Lying,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Broken => "broken",
            Self::Lying => "lying",
        }
    }
}

/// The data's folder, its state after a power cut, and the orders.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// A working disk; `None` and a message without a C compiler.
    pub fn new() -> Option<Self> {
        let Some(compiler) = program(&["cc", "gcc", "clang"]) else {
            skip("cc", "no C compiler is on the path");
            return None;
        };
        if !cfg!(target_os = "linux") {
            skip("linux", "the disk is put under the program as Linux does it");
            return None;
        }
        let disk = Self { folder: TempDir::new().expect("a temporary directory") };
        for folder in [disk.data(), disk.platter(), disk.orders()] {
            fs::create_dir(&folder).expect("a folder");
        }
        let compiled = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .arg(disk.library())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/disk.c"))
            .args(["-ldl", "-lpthread"])
            .output()
            .expect("a C compiler");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Some(disk)
    }

    fn path(&self, name: &str) -> PathBuf {
        // the path as links below /proc show it
        self.folder.path().canonicalize().expect("a folder").join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn platter(&self) -> PathBuf {
        self.path("platter")
    }

    fn orders(&self) -> PathBuf {
        self.path("orders")
    }

    fn library(&self) -> PathBuf {
        self.path("disk.so")
    }

    /// Environment for a server that keeps its data in the folder for temporary files: it gets the
    /// disk's faults, but not the platter.
    pub fn environment_of_a_server(&self) -> Vec<(&'static str, String)> {
        use std::os::unix::fs::PermissionsExt as _;

        // PostgreSQL may run as another user
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755))
            .expect("a folder");
        let mut environment = self.environment();
        environment.retain(|(name, _)| !["DISK_FOLDER", "DISK_PLATTER"].contains(name));
        let temporary = std::env::temp_dir().canonicalize().expect("a folder");
        environment.push(("DISK_FOLDER", temporary.display().to_string()));
        environment
    }

    /// Environment that puts the disk under a program.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.display().to_string();
        vec![
            ("LD_PRELOAD", text(self.library())),
            ("DISK_FOLDER", text(self.data())),
            ("DISK_PLATTER", text(self.platter())),
            ("DISK_ORDERS", text(self.orders())),
        ]
    }

    pub fn begin_fault(&self, order: Order) {
        fs::write(self.orders().join(order.name()), "").expect("an order");
    }

    pub fn end_fault(&self, order: Order) {
        fs::remove_file(self.orders().join(order.name())).expect("an order");
    }

    /// Reduces the data to the part that has reached the platter. No process may be writing any
    /// more.
    pub fn lose_power(&self) {
        fs::remove_dir_all(self.data()).expect("the data");
        fs::create_dir(self.data()).expect("a folder");
        for entry in fs::read_dir(self.platter()).expect("the platter").flatten() {
            let is_whole = entry.path().extension().is_none_or(|extension| extension != "part");
            if is_whole {
                fs::copy(entry.path(), self.data().join(entry.file_name())).expect("a copy");
            }
        }
    }
}
