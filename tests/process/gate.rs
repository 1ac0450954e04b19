//! A stretch of network between the service and its database that can fall silent: nothing arrives any
//! more, and nobody is told.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Odd while it is silent. What was connected before stays silent for ever.
#[derive(Clone)]
pub struct Gate {
    pub port: u16,
    turn: Arc<AtomicU32>,
}

impl Gate {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let gate =
            Self { port: listener.local_addr().unwrap().port(), turn: Arc::new(AtomicU32::new(0)) };
        let accepting = gate.clone();
        std::thread::spawn(move || {
            for inner in listener.incoming() {
                let (Ok(inner), Ok(outer)) = (inner, TcpStream::connect(("127.0.0.1", port)))
                else {
                    continue;
                };
                let turn = accepting.turn.load(Ordering::SeqCst);
                accepting.pass(turn, inner.try_clone().unwrap(), outer.try_clone().unwrap());
                accepting.pass(turn, outer, inner);
            }
        });
        gate
    }

    fn pass(&self, turn: u32, mut from: TcpStream, mut to: TcpStream) {
        let gate = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 16_384];
            while let Ok(count) = from.read(&mut buffer) {
                let is_lost = turn % 2 == 1 || gate.turn.load(Ordering::SeqCst) != turn;
                if is_lost && count > 0 {
                    continue;
                }
                // the end of a connection is lost as well
                if is_lost || count == 0 || to.write_all(&buffer[..count]).is_err() {
                    if !is_lost {
                        let _ = to.shutdown(Shutdown::Both);
                    }
                    return;
                }
            }
        });
    }

    pub fn fall_silent(&self) {
        self.turn.fetch_add(1, Ordering::SeqCst);
    }

    pub fn open(&self) {
        self.turn.fetch_add(1, Ordering::SeqCst);
    }
}
