//! How a guest under test ended. It says what was seen and finds nothing good or bad.

/// How a guest under test ended: its status, and all that it wrote.
///
/// ```
/// # const COMPONENT: &str = "hello";
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
/// # fn main() -> Result<(), Error> {
/// let exit = Guest::build()?.argument("world").run()?;
/// assert!(exit.success(), "{}", exit.log());
/// assert_eq!(exit.output(), "hello, world\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub(super) status: i32,
    pub(super) output: String,
    pub(super) log: String,
}

impl Exit {
    /// The exit status of `wjob run`: the guest's own, 134 for a trap, 137 for a limit, 143 after
    /// [`stop`](super::Running::stop); `wjob error N` explains the rest.
    ///
    /// ```
    /// # const COMPONENT: &str = "probe-spin";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let exit = Guest::build()?.limit("RunTime", 1).run()?;
    /// assert_eq!(exit.status(), 137);
    /// # Ok(())
    /// # }
    /// ```
    pub fn status(&self) -> i32 {
        self.status
    }

    /// Whether the status is 0.
    ///
    /// ```
    /// # const COMPONENT: &str = "hello";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// assert!(Guest::build()?.run()?.success());
    /// # Ok(())
    /// # }
    /// ```
    pub fn success(&self) -> bool {
        self.status == 0
    }

    /// All of its standard output, as text.
    ///
    /// ```
    /// # const COMPONENT: &str = "hello";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// assert_eq!(Guest::build()?.run()?.output(), "hello\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn output(&self) -> &str {
        &self.output
    }

    /// All of its standard error, as text; lines that begin with `wjob: ` are wjob's.
    ///
    /// ```
    /// # const COMPONENT: &str = "probe-spin";
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/harness/example.in"));
    /// # fn main() -> Result<(), Error> {
    /// let exit = Guest::build()?.limit("RunTime", 1).run()?;
    /// assert!(exit.log().contains("RunTime"), "{}", exit.log());
    /// # Ok(())
    /// # }
    /// ```
    pub fn log(&self) -> &str {
        &self.log
    }
}
