//! Where a native program's output goes: straight to its descriptor, or through a relay that counts it and makes it
//! safe.

use std::os::fd::OwnedFd;

use wjob_model::message::Run;

use super::program::Program;
use crate::output::{Meter, Output};
use crate::relay::{Carried, Relay};

/// The program's stdio: its own descriptors, or pipes to relays where a terminal or a limit asks for them.
pub(super) fn connect(run: &Run, stdio: [OwnedFd; 3]) -> std::io::Result<([OwnedFd; 3], Vec<Relay>)> {
    let limited = run.limits.output_size.is_some() || run.limits.output_rate.is_some();
    let meter = Meter::shared(&run.limits);
    let mut relays = Vec::new();
    let [stdin, stdout, stderr] = stdio;
    let mut one = |descriptor: OwnedFd| -> std::io::Result<OwnedFd> {
        if !limited && (run.raw || !rustix::termios::isatty(&descriptor)) {
            return Ok(descriptor);
        }
        let (relay, program) = Relay::new(Output::new(descriptor, meter.clone(), run.raw))?;
        relays.push(relay);
        Ok(program)
    };
    let stdio = [stdin, one(stdout)?, one(stderr)?];
    Ok((stdio, relays))
}

impl Program {
    pub(super) fn carry(&mut self) -> Carried {
        let mut worst = Carried::More;
        self.relays.retain(|relay| {
            if !relay.is_ready() {
                return true;
            }
            match relay.carry(usize::MAX).0 {
                Carried::More => true,
                Carried::End => false,
                Carried::Limit => {
                    worst = Carried::Limit;
                    false
                }
            }
        });
        worst
    }

    /// Carries what was in the pipes at the program's end, at the rate's pace; what its children still write is
    /// theirs to lose.
    pub(super) fn drain(&mut self) -> Carried {
        for relay in &self.relays {
            let mut left = relay.waits();
            while left > 0 {
                match relay.carry(left) {
                    (Carried::More, 0) => crate::output::pause(relay.waiting().err()),
                    (Carried::More, carried) => left -= carried.min(left),
                    (Carried::Limit, _) => return Carried::Limit,
                    (Carried::End, _) => break,
                }
            }
            relay.finish();
        }
        Carried::End
    }
}
