//! A Varlink client nobody here wrote, for the tests: the package of the varlink project, installed below `target` with
//! the machine's own Python. Without Python or its installer those tests are left out, and it says so.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::cargo;

/// The package, at the version the tests were written with.
const PACKAGE: &str = "varlink==31.0.0";

/// Says to the test that there is no such client, which is what lets it be left out.
const LEFT_OUT: &str = "left-out";

/// Installs the package, once, with a `python3` beside it that finds it.
pub fn varlink() -> anyhow::Result<()> {
    let folder = cargo::target().join("python");
    let launcher = folder.join("bin/python3");
    if launcher.is_file() {
        return Ok(());
    }
    let library = folder.join("lib");
    let installed = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--target",
        ])
        .arg(&library)
        .arg(PACKAGE)
        .stdin(Stdio::null())
        .status();
    if !installed.is_ok_and(|status| status.success()) {
        println!("   no python3 with pip, or no network: the test with a Varlink client of others is left out");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(LEFT_OUT), "")?;
        return Ok(());
    }
    fs::create_dir_all(folder.join("bin"))?;
    // Relative to itself, so that a copy of the folder works as well.
    let script = "#!/bin/sh\nPYTHONPATH=\"$(dirname \"$0\")/../lib\" PYTHONDONTWRITEBYTECODE=1 exec python3 \"$@\"\n";
    fs::write(&launcher, script)?;
    fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
