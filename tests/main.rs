//! End to end: every test here starts the built `wjob` or `wjobd` as a user would, and looks at status, output and
//! what is left on the disk. It looks at nothing inside them; the crates' own tests do that, without processes.

mod audit;
mod check;
mod compiled;
mod daemon;
mod examples;
mod grants;
mod guest_harness;
mod harness;
mod hostile;
mod learn;
mod limits;
mod listen;
mod mounted;
mod native;
mod network;
mod newcomer;
mod plists;
mod readme;
mod requirements;
mod resolver;
mod run_files;
mod run_programs;
mod stopping;
mod structure;
mod terminal;
mod unix_connect;
mod walls;
