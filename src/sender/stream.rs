//! The byte stream under an HTTP connection, and a meter on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::tls;

/// Tells what happened on a connection since its current request began. Only the task that
/// drives the connection writes it, so relaxed ordering suffices.
#[derive(Debug, Default)]
pub(super) struct Meter {
    wrote: AtomicBool,
    flushed: AtomicBool,
    received: AtomicBool,
}

impl Meter {
    /// A new request begins.
    pub(super) fn reset(&self) {
        self.wrote.store(false, Relaxed);
        self.flushed.store(false, Relaxed);
        self.received.store(false, Relaxed);
    }

    /// Whether the whole request has been handed to the operating system. hyper flushes when
    /// its buffer is empty, and buffers a request with its body whole.
    pub(super) fn request_written(&self) -> bool {
        self.flushed.load(Relaxed)
    }

    /// Whether any byte of an answer has come.
    pub(super) fn received_any(&self) -> bool {
        self.received.load(Relaxed)
    }
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A plain or TLS stream with a [`Meter`].
pub(super) struct Stream {
    transport: Transport,
    meter: Arc<Meter>,
}

impl Stream {
    pub(super) fn plain(stream: TcpStream) -> Stream {
        Stream { transport: Transport::Plain(stream), meter: Arc::default() }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Stream {
        Stream { transport: Transport::Tls(Box::new(stream)), meter: Arc::default() }
    }

    pub(super) fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }

    /// Whether TLS agreed on HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        match &self.transport {
            Transport::Plain(_) => false,
            Transport::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(tls::ALPN_H2),
        }
    }

    fn count_written(&self, written: &io::Result<usize>) {
        if written.as_ref().is_ok_and(|bytes| *bytes > 0) {
            self.meter.wrote.store(true, Relaxed);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        });
        if buffer.filled().len() > before {
            self.meter.received.store(true, Relaxed);
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        });
        self.count_written(&written);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        });
        self.count_written(&written);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        });
        if result.is_ok() && self.meter.wrote.load(Relaxed) {
            self.meter.flushed.store(true, Relaxed);
        }
        Poll::Ready(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
