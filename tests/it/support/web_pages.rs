//! A web server on loopback that serves fixed pages, with ranges, as sites do.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// Serves pages until the test ends.
pub struct WebPages {
    address: SocketAddr,
}

impl WebPages {
    /// Serves each page by its path, with its media type.
    pub fn start(pages: &[(&str, &str, &[u8])]) -> Self {
        let own = |(path, kind, body): &(&str, &str, &[u8])| ((*path).to_owned(), ((*kind).to_owned(), body.to_vec()));
        let pages: Arc<HashMap<String, (String, Vec<u8>)>> = Arc::new(pages.iter().map(own).collect());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let pages = pages.clone();
                std::thread::spawn(move || answer(stream, &pages));
            }
        });
        Self { address }
    }

    /// The address of a page.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn answer(mut stream: TcpStream, pages: &HashMap<String, (String, Vec<u8>)>) {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(n @ 1..) => head.extend_from_slice(&chunk[..n]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let Some((kind, body)) = pages.get(path) else {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    };
    let range =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let range = range.and_then(|range| {
        let (from, to) = range.split_once('-')?;
        let to = to.trim().parse().map_or(body.len(), |to: usize| to + 1).min(body.len());
        let from: usize = from.parse().ok()?;
        (from < to).then_some(from..to)
    });
    let (status, part) = match &range {
        Some(range) => ("206 Partial Content", range.clone()),
        None => ("200 OK", 0..body.len()),
    };
    let content_range =
        range.map(|range| format!("Content-Range: bytes {}-{}/{}\r\n", range.start, range.end - 1, body.len()));
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nAccept-Ranges: bytes\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n",
        part.len(),
        content_range.unwrap_or_default()
    );
    let _ = stream.write_all(head.as_bytes());
    if method != "HEAD" {
        let _ = stream.write_all(&body[part]);
    }
}
