//! The toolchains that build and run programs in other languages.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::service::{self, PASSWORD, Service};
use crate::{EMAIL, SECRET};

/// A toolchain for programs of one language.
pub trait Toolchain {
    /// The word for `TEST_REQUIRE`.
    fn name(&self) -> &'static str;

    /// Builds the programs. `Err` names the missing part.
    fn prepare(&self) -> Result<(), String>;

    /// The command that runs a program.
    fn command(&self, program: &str) -> Command;
}

/// The folder of the programs.
fn sources(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(language)
}

/// The folder of the build.
fn made(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/interop").join(language)
}

/// The interpreter that `TEST_PYTHON` names, with the libraries.
pub struct Python(String);

impl Default for Python {
    fn default() -> Self {
        Self(service::setting("TEST_PYTHON").unwrap_or_else(|| "python3".to_owned()))
    }
}

impl Toolchain for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn prepare(&self) -> Result<(), String> {
        let imports = "import authlib.integrations.requests_client, requests_oauthlib";
        succeed(Command::new(&self.0).args(["-c", imports]))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(&self.0);
        command
            .arg(sources("python").join(program))
            // both libraries insist on TLS otherwise
            .env("AUTHLIB_INSECURE_TRANSPORT", "1")
            .env("OAUTHLIB_INSECURE_TRANSPORT", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// With the packages where `npm ci --prefix target/interop/node` puts them.
pub struct Node;

impl Toolchain for Node {
    fn name(&self) -> &'static str {
        "node"
    }

    fn prepare(&self) -> Result<(), String> {
        let check = "if (!globalThis.crypto) throw 'Node 20 or later is needed'";
        succeed(Command::new("node").args(["-e", check]))?;
        let folder = made("node");
        if !folder.join("node_modules/openid-client").is_dir() {
            return Err("there are no packages: docs/testing.md says how to get them".to_owned());
        }
        // node looks for modules from the program's folder
        for entry in std::fs::read_dir(sources("node")).expect("the programs").flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "mjs") {
                std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a copy");
            }
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(made("node").join(program));
        command
    }
}

/// Go fetches its modules itself.
pub struct Go;

impl Toolchain for Go {
    fn name(&self) -> &'static str {
        "go"
    }

    fn prepare(&self) -> Result<(), String> {
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(made("go").join("client")).arg(".");
        succeed(build.current_dir(sources("go")))
    }

    fn command(&self, program: &str) -> Command {
        Command::new(made("go").join(program))
    }
}

/// Maven fetches the libraries, each once.
pub struct Java;

impl Toolchain for Java {
    fn name(&self) -> &'static str {
        "java"
    }

    fn prepare(&self) -> Result<(), String> {
        let build = |more: &[&str]| {
            let mut build = Command::new("mvn");
            build.args(["--quiet", "--batch-mode"]).args(more).arg("--file");
            build.arg(sources("java").join("pom.xml")).arg("process-classes");
            succeed(&mut build)
        };
        build(&["--offline"]).or_else(|_| build(&[]))
    }

    fn command(&self, program: &str) -> Command {
        let folder = made("java");
        let path = std::env::join_paths([folder.join("classes"), folder.join("libraries/*")]);
        let mut command = Command::new("java");
        command.arg("-cp").arg(path.expect("a class path")).arg(program);
        command
    }
}

/// `Err` with the command's error output, if the command exists at all.
fn succeed(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    let complaint = said.lines().rfind(|line| !line.trim().is_empty());
    Err(format!("{name}: {}", complaint.unwrap_or("no reason given")))
}

/// Runs a program, which fails at its first wrong result.
pub fn run(mut command: Command, service: &Service) -> Vec<[String; 3]> {
    let shown = format!("{command:?}");
    let output = command
        .env("VESTIBULE", service.url(""))
        .env("EMAIL", EMAIL)
        .env("PASSWORD", PASSWORD)
        .env("SECRET", SECRET)
        .env("NO_PROXY", "*")
        .stdin(Stdio::null())
        .output();
    let Output { status, stdout, stderr } = output.expect("a program that starts");
    let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{shown}:\n{said}\n{complained}");
    let columns = |line: &str| -> [String; 3] {
        let columns: Vec<_> = line.split('\t').map(str::to_owned).collect();
        columns.try_into().unwrap_or_else(|_| panic!("{shown} says: {line}"))
    };
    said.lines().map(columns).collect()
}
