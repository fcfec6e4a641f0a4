use crate::{sys, Done};
use std::ffi::CStr;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a function or a call ended: one of `lb.h`'s statuses. As an error it says what that status means.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

macro_rules! statuses {
    ($($name:ident $value:ident),* $(,)?) => {
        impl Status {
            $(#[doc = concat!("`", stringify!($value), "`; [`Status::text`] says what it means.")]
              pub const $name: Status = Status(sys::$value);)*
        }
        #[cfg(test)]
        const STATUSES: &[(&str, i32)] = &[$((stringify!($name), sys::$value)),*];
    };
}

statuses! {
    OK LB_OK, INVALID LB_INVALID, UNSUPPORTED LB_UNSUPPORTED, CONFIG LB_CONFIG, CLOSED LB_CLOSED, GONE LB_GONE,
    FULL LB_FULL, FORKED LB_FORKED, INTERNAL LB_INTERNAL, CANCELLED LB_CANCELLED, DEADLINE LB_DEADLINE,
    NO_UPSTREAM LB_NO_UPSTREAM, LIMITED LB_LIMITED, CONNECT LB_CONNECT, TLS LB_TLS, PROTOCOL LB_PROTOCOL,
    UPSTREAM LB_UPSTREAM, BROKEN LB_BROKEN, TOO_LARGE LB_TOO_LARGE,
}

impl Status {
    /// "DEADLINE"
    pub fn name(self) -> &'static str {
        // SAFETY: never NULL, and never freed.
        unsafe { text(sys::lb_status_name(self.0)) }
    }

    /// "the deadline passed"
    pub fn text(self) -> &'static str {
        // SAFETY: as above.
        unsafe { text(sys::lb_status_text(self.0)) }
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
        f.write_str(self.text())
    }
}

impl std::error::Error for Status {}

/// Why something failed, in lb's words. Its [source](std::error::Error::source) is its [`Status`], or, where a
/// request's body could not be read, what its reader said.
#[derive(Clone)]
pub struct Error {
    status: Status,
    code: u16,
    location: String,
    message: String,
    retry_after: Option<Duration>,
    done: Option<Arc<Done>>,
    pub(crate) cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// What kind of failure.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The failure of a call as an HTTP status, which a gateway would answer with; 0 where there is none.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The JSON pointer to the fault in a configuration, or "".
    pub fn location(&self) -> &str {
        &self.location
    }

    /// One sentence; "" where the status says all.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long to wait before the same call makes sense again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What is known of the call that failed.
    pub fn done(&self) -> Option<&Done> {
        self.done.as_deref()
    }

    pub(crate) fn of_call(status: Status, code: u32, message: String, retry_ms: Option<u64>, done: Arc<Done>) -> Error {
        let retry_after = retry_ms.map(Duration::from_millis);
        Error { code: code as u16, message, retry_after, done: Some(done), ..status.into() }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        let (location, message) = (String::new(), String::new());
        Error { status, code: 0, location, message, retry_after: None, done: None, cause: None }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Error");
        fields.field("status", &self.status).field("code", &self.code).field("location", &self.location);
        fields.field("message", &self.message).field("retry_after", &self.retry_after).finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.location.is_empty() {
            write!(f, "{}: ", self.location)?;
        }
        f.write_str(if self.message.is_empty() { self.status.text() } else { &self.message })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Some(cause) => Some(&**cause),
            None => Some(&self.status),
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::Other, error)
    }
}

/// Calls a function that answers with a status and an `lb_error`.
pub(crate) fn check(call: impl FnOnce(*mut sys::lb_error) -> sys::lb_status) -> Result<(), Error> {
    let size = std::mem::size_of::<sys::lb_error>() as u32;
    let mut error = sys::lb_error { struct_size: size, status: 0, r#where: [0; 120], message: [0; 384] };
    let status = Status(call(&mut error));
    if status == Status::OK {
        return Ok(());
    }
    // SAFETY: both end in NUL.
    let (location, message) = unsafe { (text(error.r#where.as_ptr()), text(error.message.as_ptr())) };
    Err(Error { location: location.to_owned(), message: message.to_owned(), ..status.into() })
}

/// The text behind a pointer, which lives as long as the caller says.
///
/// # Safety
/// `at` points to a text that ends in NUL and is not freed within `'a`.
pub(crate) unsafe fn text<'a>(at: *const sys::c_char) -> &'a str {
    // SAFETY: see above.
    std::str::from_utf8(unsafe { CStr::from_ptr(at) }.to_bytes()).unwrap_or("")
}

/// A text that is the caller's to free, as a String.
///
/// # Safety
/// `at` is NULL or what a function of lb said to free, `len` long.
pub(crate) unsafe fn owned(at: *mut sys::c_char, len: usize) -> Option<String> {
    if at.is_null() {
        return None;
    }
    // SAFETY: see above.
    unsafe {
        let text = String::from_utf8_lossy(std::slice::from_raw_parts(at.cast(), len)).into_owned();
        sys::lb_free(at.cast());
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_status_is_here() {
        assert_eq!(super::STATUSES, sys::LB_STATUSES);
    }
    use crate::sys;
}
