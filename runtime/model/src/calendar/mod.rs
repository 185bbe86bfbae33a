//! Calendar times of jobs: what a `StartCalendarInterval` means and when it is due next. Pure: the moment and the
//! time zone are arguments.

mod entry;
mod next;
mod words;

pub use entry::Entry;
pub use next::next;
pub use words::{CalendarError, parse};

#[cfg(test)]
mod tests;
