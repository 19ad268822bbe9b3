//! The websocket under a connection, read and written by one task.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::sender::stream::Stream;

pub(super) struct Wire {
    socket: WebSocketStream<Stream>,
    /// What waits for the receiver to take it.
    unsent: VecDeque<Message>,
    /// Whether something was handed to the socket that may not be written yet.
    unflushed: bool,
}

impl Wire {
    pub(super) fn new(socket: WebSocketStream<Stream>) -> Wire {
        Wire { socket, unsent: VecDeque::new(), unflushed: false }
    }

    /// Has a message sent, which [`Wire::next`] does.
    pub(super) fn push(&mut self, message: Message) {
        self.unsent.push_back(message);
    }

    /// How many messages wait for the receiver to take them.
    pub(super) fn waiting(&self) -> usize {
        self.unsent.len()
    }

    /// The next message of the receiver's; `None` where the connection is closed. Meanwhile
    /// what was pushed is sent. May be given up and called again.
    pub(super) async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| {
            let written = self.poll_write(cx);
            // What the receiver said last says more than that it is gone.
            let next = self.socket.poll_next_unpin(cx);
            match (next, written) {
                (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Some(Err(error))),
                (next, _) => next,
            }
        })
        .await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.unsent.is_empty() {
            ready!(self.socket.poll_ready_unpin(cx))?;
            let Some(message) = self.unsent.pop_front() else { break };
            self.unflushed = true;
            self.socket.start_send_unpin(message)?;
        }
        if self.unflushed {
            ready!(self.socket.poll_flush_unpin(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Says good-bye, where there is a code to say it with, and waits for the receiver to close.
    /// Nothing else is sent any more.
    pub(super) async fn close(&mut self, code: Option<CloseCode>) {
        self.unsent.clear();
        if let Some(code) = code {
            self.push(Message::Close(Some(CloseFrame { code, reason: Default::default() })));
        }
        while let Some(Ok(_)) = self.next().await {}
    }
}
