//! One dictionary of `StartCalendarInterval`: fields of local time, a missing one is any. It knows no calendar.

use serde::{Deserialize, Serialize};

/// Local times at which a job is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 0 to 59.
    pub minute: Option<u8>,
    /// 0 to 23.
    pub hour: Option<u8>,
    /// Day of the month, 1 to 31.
    pub day: Option<u8>,
    /// 0 to 7; Sunday is 0 and 7.
    pub weekday: Option<u8>,
    /// 1 to 12.
    pub month: Option<u8>,
}
