//! Raw declarations of liblb, name by name as `lb.h` has them, and made from it. That header is the reference for threads
//! and ownership: \[any], \[one], \[blocks] and \[cb] are explained there. Programs use the crate `lb`.
//!
//! The build finds the library in `LB_LIB_DIR`; or, with the feature `vendored`, builds it by meson from the sources
//! around this crate or in `LB_SOURCE_DIR`; or asks pkg-config.
//!
//! A test compiles C that compares each layout and each signature here with the header.
#![allow(non_camel_case_types)]

pub use std::os::raw::{c_char, c_void};

#[rustfmt::skip]
mod constants;
#[allow(missing_docs)]
#[rustfmt::skip]
mod declarations;
#[cfg(test)]
mod header_test;
pub use constants::*;
pub use declarations::*;

// The 64 bytes of lb_event are a promise of the header's.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(std::mem::size_of::<lb_event>() == 64);
