//! Lines of words: `name key=value ...`, with `%XX` in values.
use std::fmt::{self, Write};

/// Bytes and their 32-bit FNV-1a hash.
pub struct Fnv {
    pub bytes: usize,
    hash: u32,
}

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv { bytes: 0, hash: 0x811c_9dc5 }
    }
}

impl Fnv {
    pub fn add(&mut self, data: &[u8]) {
        self.bytes += data.len();
        self.hash = data.iter().fold(self.hash, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    }
}

impl fmt::Display for Fnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes={} fnv={:08x}", self.bytes, self.hash)
    }
}

/// The text as a value of a line.
pub fn quoted(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'!'..=b'~' if byte != b'%' => out.push(byte.into()),
            _ => write!(out, "%{:02X}", byte).unwrap(),
        }
        out
    })
}

fn plain(value: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || bytes.next().and_then(|it| char::from(it).to_digit(16));
        out.push(if byte == b'%' { (digit()? * 16 + digit()?) as u8 } else { byte });
    }
    String::from_utf8(out).ok()
}

pub struct Command {
    name: String,
    words: Vec<(String, String)>,
}

impl Command {
    pub fn parse(line: &str) -> Option<Command> {
        let mut words = line.split(' ');
        let name = words.next()?.to_owned();
        let words = words.map(|word| {
            let (key, value) = word.split_once('=')?;
            Some((key.to_owned(), plain(value)?))
        });
        Some(Command { name, words: words.collect::<Option<_>>()? })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.words.iter().filter(move |it| it.0 == key).map(|it| it.1.as_str())
    }

    pub fn has(&self, key: &str) -> bool {
        self.all(key).next().is_some()
    }

    /// "" where it is not given.
    pub fn text<'a>(&'a self, key: &'a str) -> &'a str {
        self.all(key).next().unwrap_or("")
    }

    /// 0 where it is not given.
    pub fn number(&self, key: &str) -> u64 {
        self.text(key).parse().unwrap_or(0)
    }
}
