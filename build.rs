//! Migrations, messages and templates are compiled in: a new file among them is a reason to build again.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=messages");
    println!("cargo:rerun-if-changed=templates");
}
