//! The smallest native server behind inetd: a static C program that echoes standard input, compiled here, since nobody
//! packages one. Static, because the dynamic loader would be half of its time and is nobody's point.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r"#include <unistd.h>

int main(void)
{
    char bytes[4096];
    ssize_t length;
    while ((length = read(0, bytes, sizeof bytes)) > 0) {
        for (ssize_t done = 0, more; done < length; done += more) {
            more = write(1, bytes + done, (size_t)(length - done));
            if (more < 0)
                return 1;
        }
    }
    return length < 0;
}
";

/// Compiles it in this folder. What is in the way is told in one line.
pub fn compile(folder: &Path) -> Result<PathBuf, String> {
    let source = folder.join("echo.c");
    let program = folder.join("echo");
    fs::write(&source, SOURCE).map_err(|error| format!("cannot write {}: {error}", source.display()))?;
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-static", "-o"]).arg(&program).arg(&source);
    let advice = "Debian packages a compiler as gcc and a static C library as libc6-dev";
    let output = compiler.output().map_err(|error| format!("cc cannot be started: {error}; {advice}"))?;
    if output.status.success() {
        return Ok(program);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("cc failed: {}; {advice}", complaint.trim().lines().last().unwrap_or("no message")))
}
