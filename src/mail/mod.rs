//! Letters: which there are, how they look, and how they leave.
//!
//! Whoever causes a letter posts it to the [`Outbox`] in the transaction that causes it. The
//! [`Courier`] claims what is due, finds out what the letter has to say by then, mints its link,
//! renders it and hands it to a [`Transport`]. Nothing here waits for a mail server while a request
//! is being answered, and no live link is ever stored.

mod cause;
mod content;
mod courier;
mod letter;
mod outbox;
mod render;
mod transport;

pub use cause::Cause;
pub use courier::{Breaker, Courier, Delivered};
pub use letter::Letter;
pub use outbox::{Outbox, Recipient};
pub use render::{Envelope, RenderError, Rendered, Renderer};
pub use transport::{Mailbox, SendError, SentLetter, Transport, TransportError};
