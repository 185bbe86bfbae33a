//! What starts jobs and keeps them, with real processes; each rule in all its cases is tested in the model.

use serde_json::json;

use crate::harness::{Job, Supervisor};

#[test]
fn a_job_runs_at_load_and_its_output_is_kept() {
    let supervisor =
        Supervisor::new().with("a", Job::shell("echo out; echo err >&2; exit 3").with("RunAtLoad", true)).start();
    supervisor.logs("a: started: RunAtLoad").logs("a: ended: exit 3");
    let row = supervisor.row("a");
    assert_eq!((&row["state"], &row["status"], &row["runs"]), (&json!("idle"), &json!(3), &json!(1)), "{row}");
}
