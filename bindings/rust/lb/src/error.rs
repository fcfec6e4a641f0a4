use crate::{sys, Done};
use std::ffi::CStr;
use std::fmt;
use std::sync::Arc;

/// How a function or a call ended: one of `lb.h`'s statuses. As an error it says what that status means.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

impl Status {
    /// "DEADLINE"
    pub fn name(self) -> &'static str {
        // SAFETY: never NULL, and never freed.
        unsafe { text(sys::lb_status_name(self.0)) }
    }

    /// The same call may succeed later.
    pub fn retryable(self) -> bool {
        // SAFETY: takes any number.
        unsafe { sys::lb_status_retryable(self.0) != 0 }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: never NULL, and never freed.
        f.write_str(unsafe { text(sys::lb_status_text(self.0)) })
    }
}

impl std::error::Error for Status {}

/// Why something failed, in lb's words. Its [source](std::error::Error::source) is its [`Status`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Error {
    /// What kind of failure.
    pub status: Status,
    /// The JSON pointer to the fault in a configuration, or "".
    pub location: String,
    /// One sentence; "" where the status says all.
    pub message: String,
    /// What is known of the call that failed.
    pub done: Arc<Done>,
}

impl From<Done> for Error {
    fn from(done: Done) -> Error {
        let (status, message) = (done.status, done.message.clone());
        Error { status, location: String::new(), message, done: Arc::new(done) }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        Done { status, ..Done::default() }.into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.location.as_str(), self.message.as_str()) {
            (_, "") => self.status.fmt(f),
            ("", message) => f.write_str(message),
            (location, message) => write!(f, "{}: {}", location, message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.status)
    }
}

/// Calls a function that answers with a status and an `lb_error`.
pub(crate) fn check(call: impl FnOnce(*mut sys::lb_error) -> sys::lb_status) -> Result<(), Error> {
    let mut error = sized!(lb_error {});
    let status = Status(call(&mut error));
    if status == Status::OK {
        return Ok(());
    }
    // SAFETY: both end in NUL.
    let (location, message) = unsafe { (text(error.r#where.as_ptr()), text(error.message.as_ptr())) };
    Err(Error { location: location.to_owned(), message: message.to_owned(), ..status.into() })
}

/// The text behind a pointer, which lives as long as the caller says; "" behind NULL.
///
/// # Safety
/// `at` is NULL, or points to a text that ends in NUL and is not freed within `'a`.
pub(crate) unsafe fn text<'a>(at: *const sys::c_char) -> &'a str {
    // SAFETY: see above.
    let bytes = if at.is_null() { &[] } else { unsafe { CStr::from_ptr(at) }.to_bytes() };
    std::str::from_utf8(bytes).unwrap_or("")
}

/// A text that a function of lb made, as a String.
pub(crate) fn owned(make: impl FnOnce(&mut usize) -> *mut sys::c_char) -> Option<String> {
    let at = make(&mut 0);
    // SAFETY: NULL, or a text that ends in NUL and is ours to free.
    unsafe {
        let made = (!at.is_null()).then(|| text(at).to_owned());
        sys::lb_free(at.cast());
        made
    }
}
