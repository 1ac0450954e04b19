//! A network between the service and its database that can fall silent: no byte arrives any more,
//! and neither side gets an error. It can also break right after the server has answered a commit.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Odd while the network is silent. Connections from before stay silent for ever.
#[derive(Clone)]
pub struct Gate {
    pub port: u16,
    turn: Arc<AtomicU32>,
    loses_commits: Arc<AtomicBool>,
}

/// One direction of a connection.
struct Way {
    from: TcpStream,
    to: TcpStream,
    is_to_server: bool,
    /// The other direction has seen a commit whose answer is to be lost.
    is_broken: Arc<AtomicBool>,
}

impl Gate {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let gate = Self {
            port: listener.local_addr().unwrap().port(),
            turn: Arc::default(),
            loses_commits: Arc::default(),
        };
        let accepting = gate.clone();
        std::thread::spawn(move || {
            for inner in listener.incoming() {
                let (Ok(inner), Ok(outer)) = (inner, TcpStream::connect(("127.0.0.1", port)))
                else {
                    continue;
                };
                let turn = accepting.turn.load(Ordering::SeqCst);
                let is_broken = Arc::new(AtomicBool::default());
                for is_to_server in [true, false] {
                    let (inner, outer) = (inner.try_clone().unwrap(), outer.try_clone().unwrap());
                    let (from, to) = if is_to_server { (inner, outer) } else { (outer, inner) };
                    let is_broken = Arc::clone(&is_broken);
                    accepting.pass(turn, Way { from, to, is_to_server, is_broken });
                }
            }
        });
        gate
    }

    fn pass(&self, turn: u32, way: Way) {
        let gate = self.clone();
        let Way { mut from, mut to, is_to_server, is_broken } = way;
        std::thread::spawn(move || {
            let mut buffer = [0; 16_384];
            while let Ok(count) = from.read(&mut buffer) {
                let is_lost = turn % 2 == 1 || gate.turn.load(Ordering::SeqCst) != turn;
                if is_lost && count > 0 {
                    continue;
                }
                let commits = buffer[..count].windows(6).any(|word| word == b"COMMIT");
                if is_to_server && commits && gate.loses_commits.load(Ordering::SeqCst) {
                    is_broken.store(true, Ordering::SeqCst);
                }
                if !is_to_server && is_broken.load(Ordering::SeqCst) {
                    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    return;
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

    pub fn stall(&self) {
        self.turn.fetch_add(1, Ordering::SeqCst);
    }

    /// From now on a connection breaks when the server has answered a commit, and the answer is
    /// lost.
    pub fn lose_answers_to_commits(&self) {
        self.loses_commits.store(true, Ordering::SeqCst);
    }

    pub fn resume(&self) {
        self.turn.fetch_add(1, Ordering::SeqCst);
    }
}
