//! What a worker is handed: the start message of a run, and the descriptors that go with it, in the order in which the
//! worker takes them. A worker learns nothing else.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use wjob_model::message::{Code, Role, Run, Start, Stdio, Users};
use wjob_model::program::ProgramKind;

use super::Attempt;
use crate::order::Tools;
use crate::spawn::Worker;

impl Attempt {
    pub(super) fn hand_over(&self, worker: &Worker, tools: Tools<'_>, code: Option<&File>) -> Result<(), String> {
        let found = self.found.as_ref().ok_or("there is no program")?;
        let job = &self.order.job;
        let paths = [&job.standard_in, &job.standard_out, &job.standard_error];
        let stdio: [Stdio; 3] = std::array::from_fn(|at| match (paths[at], &self.order.stdio[at]) {
            (Some(path), _) => Stdio::Path(path.clone()),
            (None, Some(_)) => Stdio::Inherited,
            (None, None) => Stdio::Null,
        });
        let inherited = self.order.stdio.iter().zip(&stdio).filter(|(_, stdio)| **stdio == Stdio::Inherited);
        let inherited = inherited.filter_map(|(descriptor, _)| descriptor.as_ref()).map(AsFd::as_fd);
        let sockets = self.order.sockets.iter().map(|(_, socket)| socket.as_fd());
        let descriptors: Vec<BorrowedFd<'_>> =
            code.map(AsFd::as_fd).into_iter().chain(inherited).chain(sockets).collect();
        let mut environment = self.order.environment.clone();
        if !found.kind.is_wasm() {
            let more = self.order.native_environment.iter();
            let more = more.filter(|(name, _)| self.order.environment.iter().all(|(other, _)| other != name));
            environment.extend(more.cloned());
        }
        let run = Run {
            code: match found.kind {
                ProgramKind::Component => Code::Component,
                ProgramKind::Module => Code::Module,
                ProgramKind::Elf | ProgramKind::Script => Code::Native(found.seen.display().to_string()),
            },
            arguments: job.program.arguments.clone(),
            globbing: job.program.globbing,
            environment,
            working_directory: job.working_directory.clone(),
            umask: job.umask,
            stdio,
            sockets: self.order.sockets.iter().map(|(socket, _)| socket.clone()).collect(),
            inetd_wait: job.inetd_wait,
            users: self.admitted(),
            instance_reuse: job.instance_reuse,
            causes: self.order.causes.clone(),
            paths: job.opened(),
            own: self.own.clone(),
            walls: self.plan.clone(),
            limits: job.limits.clone(),
            connect: job.grants.connect.clone(),
            bind: job.grants.bind.clone(),
            names: self.names.clone(),
            config: job.config.clone(),
            explain: self.order.explain,
            learn: self.order.learn,
            raw: self.order.raw,
            wait_for_debugger: job.wait_for_debugger,
            abandon: self.lingers && job.abandon_process_group,
            transactions: job.launch.transactions,
            exit_timeout: job.exit_timeout,
            idle_timeout: self.idle_timeout(found.kind),
            root: job.root_directory.clone(),
        };
        let start = Start { build: tools.image.build.clone(), role: Role::Run(Box::new(run)) };
        worker.hand(&start, &descriptors)
    }

    /// Who is accepted. In a user namespace every user but the job's own reads as nobody, and the access lists of the
    /// sockets hold it alone.
    fn admitted(&self) -> Option<Users> {
        let mut users = self.admitted.clone().filter(|_| !self.plan.user_namespace)?;
        users.users.push(self.machine.uid);
        Some(users)
    }

    /// A native program that is handed its sockets once and counts no work decides by itself when it has none.
    fn idle_timeout(&self, kind: ProgramKind) -> Option<u32> {
        let job = &self.order.job;
        let counted = !self.order.sockets.is_empty() && (kind.is_wasm() || job.inetd_wait == Some(false));
        job.launch.idle_exit(counted).filter(|_| self.lingers)
    }
}
