//! Streams that are taken where they arrive, on the engine's thread: counted, and handed to nobody.
use lb::sys::*;
use std::mem::{size_of, zeroed};
use std::ptr::null_mut;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub struct Floor {
    engine: *mut lb_engine,
    queue: *mut lb_queue,
    ended: Mutex<Receiver<u64>>,
}

// SAFETY: what is called with these pointers may be called on any thread.
unsafe impl Send for Floor {}
// SAFETY: as above.
unsafe impl Sync for Floor {}

struct Context {
    events: u64,
    ended: Sender<u64>,
}

unsafe extern "C" fn deliver(ctx: *mut c_void, events: *const lb_event, count: usize) {
    // SAFETY: lent by the engine; the context is never freed.
    let (ctx, events) = unsafe { (&mut *(ctx as *mut Context), std::slice::from_raw_parts(events, count)) };
    for event in events {
        match event.kind {
            LB_EVENT_DATA => ctx.events += 1,
            LB_EVENT_DONE => ctx.ended.send(event.user_data).unwrap_or(()),
            _ => {}
        }
    }
}

impl Floor {
    pub fn open(config: &str) -> Arc<Floor> {
        let (sender, receiver) = channel();
        let (mut engine, mut queue) = (null_mut(), null_mut());
        // SAFETY: as lb.h says.
        unsafe {
            let open = lb_engine_open(std::ptr::null(), config.as_ptr().cast(), config.len(), &mut engine, null_mut());
            assert_eq!(open, LB_OK);
            let context = Box::leak(Box::new(Context { events: 0, ended: sender }));
            let mut options: lb_queue_options = zeroed();
            options.struct_size = size_of::<lb_queue_options>() as u32;
            options.deliver = Some(deliver);
            options.ctx = (context as *mut Context).cast();
            assert_eq!(lb_queue_open(engine, &options, &mut queue, null_mut()), LB_OK);
        }
        Arc::new(Floor { engine, queue, ended: Mutex::new(receiver) })
    }

    fn start(&self, body: &str, number: u64) {
        const HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n\
                            authorization: Bearer sk-of-the-caller\r\nuser-agent: bench/1\r\n";
        // SAFETY: as lb.h says.
        unsafe {
            let mut options: lb_call_options = zeroed();
            options.struct_size = size_of::<lb_call_options>() as u32;
            options.delivery = LB_DELIVER_EVENTS;
            options.user_data = number;
            options.window_bytes = 1 << 20; // Larger than the answers, so there is nothing to credit.
            let (mut call, head, body_at) = (0, HEAD.as_ptr().cast(), body.as_ptr().cast());
            let (engine, queue) = (self.engine, self.queue);
            let ok =
                lb_call_start(engine, queue, &options, head, HEAD.len(), body_at, body.len(), &mut call, null_mut());
            assert_eq!(ok, LB_OK);
        }
    }

    /// So many calls, so many at a time: how long each took.
    pub fn run(&self, body: &str, count: usize, concurrency: usize) -> Vec<Duration> {
        let ended = self.ended.lock().unwrap();
        let mut began = Vec::new();
        let mut took = Vec::new();
        while took.len() < count {
            while began.len() < count && began.len() - took.len() < concurrency {
                self.start(body, began.len() as u64);
                began.push(Instant::now());
            }
            took.push(began[ended.recv().unwrap() as usize].elapsed());
        }
        took
    }
}
