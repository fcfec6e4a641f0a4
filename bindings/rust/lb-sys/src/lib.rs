//! Raw declarations of liblb, name by name as `lb.h` has them. That header is the reference: threads, ownership and
//! errors of each function are said there. Programs use the crate `lb`.
//!
//! The build finds the library in `LB_LIB_DIR`; or, with the feature `vendored`, builds it by meson from the sources
//! around this crate or in `LB_SOURCE_DIR`; or asks pkg-config.
//!
//! A test compiles C that compares each layout and each signature here with the header.
#![allow(non_camel_case_types)]

pub use std::os::raw::{c_char, c_void};

#[rustfmt::skip]
mod constants;
#[cfg(test)]
mod header_test;
pub use constants::*;

/// `LB_OK` or one of the other statuses.
pub type lb_status = i32;
/// The id of a call: never 0, never reused within an engine.
pub type lb_call = u64;
/// Chooses for routes with `balance: host`.
pub type lb_select = unsafe extern "C" fn(ctx: *mut c_void, candidates: *const lb_candidate, count: usize) -> usize;
/// Wakes who polls a queue.
pub type lb_wake = unsafe extern "C" fn(ctx: *mut c_void);
/// Takes a batch of events.
pub type lb_deliver = unsafe extern "C" fn(ctx: *mut c_void, events: *const lb_event, count: usize);

// Declares the structs, and for the test a table of their members.
macro_rules! structs {
    ($($(#[$doc:meta])* $name:ident { $($member:ident: $type:ty),* })*) => {
        $($(#[$doc])* #[repr(C)] #[derive(Clone, Copy, Debug)] #[allow(missing_docs)] pub struct $name { $(pub $member: $type),* })*
        #[cfg(test)]
        pub(crate) fn layouts() -> Vec<header_test::Layout> {
            vec![$({
                let it = std::mem::MaybeUninit::<$name>::uninit();
                let at = it.as_ptr();
                header_test::Layout {
                    name: stringify!($name),
                    size: std::mem::size_of::<$name>(),
                    // SAFETY: only addresses are taken.
                    members: vec![$((stringify!($member), stringify!($type), unsafe {
                        std::ptr::addr_of!((*at).$member) as usize - at as usize
                    })),*],
                }
            }),*]
        }
    };
}

// Declares the functions, and for the test a table of their signatures.
macro_rules! functions {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        extern "C" { $($(#[$doc])* #[allow(missing_docs)] pub fn $name($($argument: $type),*) $(-> $result)?;)* }
        #[cfg(test)]
        pub(crate) const SIGNATURES: &[(&str, &[&str], &str)] =
            &[$((stringify!($name), &[$(stringify!($type)),*], concat!($(stringify!($result))?))),*];
    };
}

/// An engine; only ever behind a pointer.
#[repr(C)]
#[derive(Debug)]
pub struct lb_engine([u8; 0]);
/// A queue; only ever behind a pointer.
#[repr(C)]
#[derive(Debug)]
pub struct lb_queue([u8; 0]);
/// A balancer; only ever behind a pointer.
#[repr(C)]
#[derive(Debug)]
pub struct lb_balancer([u8; 0]);

structs! {
    /// What went wrong, and where.
    lb_error { struct_size: u32, status: lb_status, r#where: [c_char; 120], message: [c_char; 384] }
    /// A deployment that may take a call.
    lb_candidate {
        deployment: *const c_char, model: *const c_char, weight: f64, utilisation: f64, tokens_left: f64,
        tokens_in_flight: f64, latency_ns: u64, in_flight: u32, reserved: u32
    }
    /// Of `lb_engine_open`.
    lb_engine_options {
        struct_size: u32, flags: u32, seed: u64, calls_max: u32, log_level: u32, select: Option<lb_select>,
        select_ctx: *mut c_void
    }
    /// 64 bytes on 64-bit targets, for ever.
    lb_event {
        call: lb_call, user_data: u64, time_ns: u64, data: *const c_void, size: u64, detail: *const c_void, kind: u32,
        status: lb_status, code: u32, flags: u32
    }
    /// Of `lb_queue_open`.
    lb_queue_options {
        struct_size: u32, flags: u32, wake: Option<lb_wake>, deliver: Option<lb_deliver>, ctx: *mut c_void
    }
    /// Of `lb_call_start`.
    lb_call_options {
        struct_size: u32, delivery: u32, user_data: u64, deadline_ms: u32, window_bytes: u32, priority: i32, flags: u32
    }
    /// Of `lb_balancer_open`.
    lb_balancer_options {
        struct_size: u32, flags: u32, seed: u64, now_ns: u64, unix_ns: u64, picks_max: u32, reserved: u32,
        select: Option<lb_select>, select_ctx: *mut c_void
    }
    /// What is asked of a balancer.
    lb_ask {
        struct_size: u32, flags: u32, model: *const c_char, model_len: usize, caller: *const c_char, caller_len: usize,
        affinity: *const c_char, affinity_len: usize, characters: u64, tokens_in: u64, tokens_out_max: u64,
        choices: u32, images: u32, tried: *const u32, tried_count: usize, attempts: u32, reserved: u32, deadline_ns: u64
    }
    /// What a balancer answers.
    lb_pick {
        struct_size: u32, target: u32, pick: u64, wait_ns: u64, deployment: *const c_char, url: *const c_char,
        key: *const c_char, model: *const c_char, again: u32, reserved: u32
    }
    /// What came of a pick.
    lb_outcome {
        struct_size: u32, kind: u32, http_status: u32, known: u32, head: *const c_char, head_len: usize,
        body: *const c_char, body_len: usize, tokens_in: u64, tokens_out: u64, tokens_cached: u64,
        first_content_ns: u64, delivered: u32, reserved: u32
    }
    /// What to do after a report.
    lb_next { struct_size: u32, kind: u32, out_ns: u64 }
}

functions! {
    fn lb_abi() -> u32;
    fn lb_version_number() -> u32;
    fn lb_build_info() -> *const c_char;
    fn lb_status_name(status: lb_status) -> *const c_char;
    fn lb_status_text(status: lb_status) -> *const c_char;
    fn lb_status_retryable(status: lb_status) -> i32;
    fn lb_config_check(config: *const c_char, config_len: usize, err: *mut lb_error) -> lb_status;
    fn lb_config_schema() -> *const c_char;
    fn lb_engine_open(options: *const lb_engine_options, config: *const c_char, config_len: usize, out: *mut *mut lb_engine, err: *mut lb_error) -> lb_status;
    fn lb_engine_configure(engine: *mut lb_engine, config: *const c_char, config_len: usize, err: *mut lb_error) -> lb_status;
    fn lb_engine_close(engine: *mut lb_engine, drain_ms: u32) -> lb_status;
    fn lb_engine_free(engine: *mut lb_engine);
    fn lb_engine_fd(engine: *const lb_engine) -> isize;
    fn lb_engine_timeout_ms(engine: *mut lb_engine) -> i32;
    fn lb_engine_turn(engine: *mut lb_engine) -> lb_status;
    fn lb_engine_address(engine: *mut lb_engine, name: *const c_char, name_len: usize, out: *mut c_char, cap: usize) -> i32;
    fn lb_engine_stats(engine: *mut lb_engine, format: u32, len: *mut usize) -> *mut c_char;
    fn lb_engine_mark(engine: *mut lb_engine, name: *const c_char, name_len: usize, model: *const c_char, model_len: usize, ms: u64, err: *mut lb_error) -> lb_status;
    fn lb_event_u64(event: *const lb_event, field: u32, out: *mut u64) -> i32;
    fn lb_event_text(event: *const lb_event, field: u32, out: *mut *const c_char, len: *mut usize) -> i32;
    fn lb_queue_open(engine: *mut lb_engine, options: *const lb_queue_options, out: *mut *mut lb_queue, err: *mut lb_error) -> lb_status;
    fn lb_queue_poll(queue: *mut lb_queue, out: *mut lb_event, cap: usize, timeout_ms: i32) -> i32;
    fn lb_queue_fd(queue: *mut lb_queue) -> isize;
    fn lb_queue_close(queue: *mut lb_queue);
    fn lb_call_start(engine: *mut lb_engine, queue: *mut lb_queue, options: *const lb_call_options, head: *const c_char, head_len: usize, body: *const c_void, body_len: usize, out: *mut lb_call, err: *mut lb_error) -> lb_status;
    fn lb_call_append(engine: *mut lb_engine, call: lb_call, bytes: *const c_void, len: usize, last: i32) -> lb_status;
    fn lb_call_credit(engine: *mut lb_engine, call: lb_call, bytes: u64) -> lb_status;
    fn lb_call_cancel(engine: *mut lb_engine, call: lb_call) -> lb_status;
    fn lb_balancer_open(options: *const lb_balancer_options, config: *const c_char, config_len: usize, out: *mut *mut lb_balancer, err: *mut lb_error) -> lb_status;
    fn lb_balancer_configure(balancer: *mut lb_balancer, config: *const c_char, config_len: usize, now_ns: u64, err: *mut lb_error) -> lb_status;
    fn lb_balancer_pick(balancer: *mut lb_balancer, ask: *const lb_ask, now_ns: u64, out: *mut lb_pick) -> lb_status;
    fn lb_balancer_report(balancer: *mut lb_balancer, pick: u64, outcome: *const lb_outcome, now_ns: u64, out: *mut lb_next) -> lb_status;
    fn lb_balancer_explain(balancer: *mut lb_balancer, ask: *const lb_ask, now_ns: u64, len: *mut usize) -> *mut c_char;
    fn lb_balancer_stats(balancer: *mut lb_balancer, now_ns: u64, len: *mut usize) -> *mut c_char;
    fn lb_balancer_mark(balancer: *mut lb_balancer, name: *const c_char, name_len: usize, model: *const c_char, model_len: usize, ms: u64, now_ns: u64, err: *mut lb_error) -> lb_status;
    fn lb_balancer_free(balancer: *mut lb_balancer);
    fn lb_free(ptr: *mut c_void);
}

// The 64 bytes of lb_event are a promise of the header's.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(std::mem::size_of::<lb_event>() == 64);
