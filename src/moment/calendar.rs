//! Conversions of a [`Timestamp`] to and from the crate `time`, and RFC 3339. Feature `time`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Timestamp;

/// The reason why a time cannot be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// The time is before 1970 or after 9999. [`Timestamp::NEVER`] is after 9999.
    #[error("the time is not within the years 1970 to 9999")]
    OutOfRange,
    /// The text is not a date and time of RFC 3339.
    #[error("the text is not a date and time of RFC 3339")]
    Syntax,
}

impl Timestamp {
    /// Reads a date and time of RFC 3339 with any offset. Fractions of a second are dropped.
    ///
    /// ```
    /// use grantcore::moment::TimestampError;
    /// use grantcore::Timestamp;
    ///
    /// let time = Timestamp::from_rfc3339("2027-01-15T10:00:00.5+02:00")?;
    /// assert_eq!(time, Timestamp::from_unix_seconds(1_800_000_000));
    /// assert_eq!(time.to_rfc3339()?, "2027-01-15T08:00:00Z");
    /// # Ok::<(), TimestampError>(())
    /// ```
    ///
    /// # Errors
    /// [`TimestampError::Syntax`] if the text is not of RFC 3339, [`TimestampError::OutOfRange`] if
    /// the time is before 1970.
    pub fn from_rfc3339(text: &str) -> Result<Self, TimestampError> {
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError::Syntax)?;
        time.try_into()
    }

    /// Returns the date and time of RFC 3339 in UTC, such as `2027-01-15T08:00:00Z`.
    ///
    /// # Errors
    /// [`TimestampError::OutOfRange`] after the year 9999, and so for [`Timestamp::NEVER`].
    pub fn to_rfc3339(self) -> Result<String, TimestampError> {
        let time = OffsetDateTime::try_from(self)?;
        time.format(&Rfc3339).map_err(|_| TimestampError::OutOfRange)
    }
}

/// Converts to UTC.
///
/// ```
/// use grantcore::moment::TimestampError;
/// use grantcore::Timestamp;
/// use time::OffsetDateTime;
///
/// let time = OffsetDateTime::try_from(Timestamp::from_unix_seconds(1_800_000_000))?;
/// assert_eq!((time.year(), time.hour()), (2027, 8));
/// assert!(OffsetDateTime::try_from(Timestamp::NEVER).is_err());
/// # Ok::<(), TimestampError>(())
/// ```
///
/// # Errors
/// [`TimestampError::OutOfRange`] after the year 9999, and so for [`Timestamp::NEVER`].
impl TryFrom<Timestamp> for OffsetDateTime {
    type Error = TimestampError;

    fn try_from(time: Timestamp) -> Result<Self, TimestampError> {
        let seconds = i64::try_from(time.unix_seconds()).map_err(|_| TimestampError::OutOfRange)?;
        Self::from_unix_timestamp(seconds).map_err(|_| TimestampError::OutOfRange)
    }
}

/// Converts a time with any offset. Fractions of a second are dropped.
///
/// # Errors
/// [`TimestampError::OutOfRange`] before 1970.
impl TryFrom<OffsetDateTime> for Timestamp {
    type Error = TimestampError;

    fn try_from(time: OffsetDateTime) -> Result<Self, TimestampError> {
        let seconds = u64::try_from(time.unix_timestamp());
        seconds.map(Self::from_unix_seconds).map_err(|_| TimestampError::OutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::{Timestamp, TimestampError};

    /// The last second of the year 9999.
    const LAST: u64 = 253_402_300_799;

    #[test]
    fn every_time_of_rfc_3339_since_1970_comes_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_800_000_000, "2027-01-15T08:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            let time = Timestamp::from_unix_seconds(seconds);
            assert_eq!(time.to_rfc3339().as_deref(), Ok(text));
            assert_eq!(Timestamp::from_rfc3339(text), Ok(time));
            let converted = OffsetDateTime::try_from(time).unwrap();
            assert_eq!(Timestamp::try_from(converted), Ok(time));
        }
    }

    #[test]
    fn offsets_are_converted_and_fractions_dropped() {
        for text in ["1970-01-01T01:30:07.999+01:30", "1969-12-31 23:00:07-01:00"] {
            assert_eq!(
                Timestamp::from_rfc3339(text),
                Ok(Timestamp::from_unix_seconds(7)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_time_out_of_range_is_an_error_and_never_another_time() {
        for time in [Timestamp::NEVER, Timestamp::from_unix_seconds(LAST + 1)] {
            assert_eq!(time.to_rfc3339(), Err(TimestampError::OutOfRange));
            assert_eq!(OffsetDateTime::try_from(time), Err(TimestampError::OutOfRange));
        }
        let early = OffsetDateTime::UNIX_EPOCH - time::Duration::SECOND;
        assert_eq!(Timestamp::try_from(early), Err(TimestampError::OutOfRange));
        assert_eq!(
            Timestamp::from_rfc3339("1969-12-31T23:59:59Z"),
            Err(TimestampError::OutOfRange)
        );
        for text in ["never", "", "2027-01-15", "2027-01-15T08:00:00", "1800000000"] {
            assert_eq!(Timestamp::from_rfc3339(text), Err(TimestampError::Syntax), "{text}");
        }
    }
}
