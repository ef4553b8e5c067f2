//! A hub in a thread: the answers of Hugging Face's hub to requests for files, and its faults.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// The commit that every revision is.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What goes wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// The connection is closed after this many bytes of the body, if it has more.
    CutAfter(usize),
    /// The whole file is sent whatever part was asked for, unless it is one byte.
    IgnoreRange,
    /// The file is on another server.
    Redirect,
}

/// A running hub with one model, `owner/model`; gone when it is dropped.
pub(crate) struct Hub {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    files: HashMap<String, Vec<u8>>,
    faults: HashMap<String, Fault>,
    token: Option<String>,
    requests: Vec<String>,
    closed: bool,
}

/// The entity tag of a file.
pub(crate) fn tag(file: &str) -> String {
    format!("tag-of-{}", file.replace('.', "-"))
}

impl Hub {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
        let shared = Shared {
            files: files.collect(),
            ..Shared::default()
        };
        let shared = Arc::new(Mutex::new(shared));
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if lock(&of_thread).closed {
                    break;
                }
                // A client that goes away is no concern of the hub.
                let _ = stream.and_then(|stream| answer(stream, address, &of_thread));
            }
        });
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set_fault(&self, file: &str, fault: Fault) {
        lock(&self.shared).faults.insert(file.to_owned(), fault);
    }

    pub(crate) fn require_token(&self, token: &str) {
        lock(&self.shared).token = Some(token.to_owned());
    }

    /// Paths that were asked for, each with the range.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.shared).requests.clone()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        lock(&self.shared).closed = true;
        // Wakes the thread, which then ends.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(
    mut stream: TcpStream,
    address: SocketAddr,
    shared: &Mutex<Shared>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let range = headers.get("range").cloned().unwrap_or_default();
    let shared = &mut *lock(shared);
    shared.requests.push(format!("{path} {range}"));
    let file = path.rsplit('/').next().unwrap_or_default();
    let fault = shared.faults.get(file).copied().unwrap_or(Fault::None);
    let expected = shared.token.as_ref().map(|token| format!("Bearer {token}"));
    let known = path.starts_with("/owner/model/resolve/") || path.starts_with("/elsewhere/");
    match shared.files.get(file).filter(|_| known) {
        _ if expected.is_some() && expected.as_ref() != headers.get("authorization") => {
            write!(
                stream,
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
        None => {
            write!(
                stream,
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
        Some(_) if fault == Fault::Redirect && !path.starts_with("/elsewhere/") => write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: http://{address}/elsewhere/{file}\r\n\
             X-Linked-Etag: \"{}\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n",
            tag(file)
        ),
        Some(bytes) => send(&mut stream, file, bytes, &range, fault),
    }
}

fn send(
    stream: &mut TcpStream,
    file: &str,
    bytes: &[u8],
    range: &str,
    fault: Fault,
) -> std::io::Result<()> {
    let (total, range) = (bytes.len(), range.strip_prefix("bytes=").unwrap_or("0-"));
    let (start, end) = range.split_once('-').unwrap_or(("0", ""));
    let number = |text: &str| text.parse::<usize>().ok();
    let (mut start, mut end) = (
        number(start).unwrap_or(0),
        number(end).map_or(total, |end| end + 1),
    );
    if fault == Fault::IgnoreRange && end != 1 {
        (start, end) = (0, total);
    }
    if start >= total {
        return write!(
            stream,
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let body = &bytes[start..end.min(total)];
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nETag: \"{}\"\r\nX-Repo-Commit: {COMMIT}\r\n\
         Content-Range: bytes {start}-{}/{total}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        tag(file),
        end - 1,
        body.len()
    )?;
    match fault {
        Fault::CutAfter(n) => stream.write_all(&body[..n.min(body.len())]),
        _ => stream.write_all(body),
    }
}
