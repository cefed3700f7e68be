// SPDX-License-Identifier: GPL-3.0-or-later
//! What really crosses the wire: a packet capture on a test host, read back as UDP datagrams.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};

use crate::harness::{end, wait_for};
use crate::netns::Host;

/// Captures everything on a host's device.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Child,
    file: PathBuf,
    /// For the datagram that marks the end.
    marker: UdpSocket,
}

/// Content of the datagram that marks the end of a capture: tcpdump forgets what it has not written when it ends.
const MARK: &[u8] = b"end of capture";
/// Where the mark is sent: nobody.
const NOBODY: (Ipv4Addr, u16) = (Ipv4Addr::new(198, 18, 255, 1), 9);
/// How long tcpdump may take for what it saw.
const PATIENCE: Duration = Duration::from_secs(10);

/// A UDP datagram seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// What UDP carried.
    pub payload: Vec<u8>,
}

impl Capture {
    /// Starts to capture on `host` into `file`; returns when no packet is missed any more.
    pub fn start(host: &Host, file: &Path) -> Result<Self> {
        let mut command = host.command("tcpdump");
        command.args(["--immediate-mode", "-U", "-Z", "root", "-s", "0", "-i", host.device(), "-w"]).arg(file);
        let mut tcpdump = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("run tcpdump")?;
        let mut first = String::new();
        let stderr = tcpdump.stderr.take().context("no stderr")?;
        BufReader::new(stderr).read_line(&mut first)?;
        let capture = Self { tcpdump, file: file.to_owned(), marker: host.bind(0)? };
        ensure!(first.contains("listening on"), "tcpdump: {}", first.trim());
        Ok(capture)
    }

    /// Ends the capture and reads it.
    pub fn finish(mut self) -> Result<Vec<Datagram>> {
        self.marker.send_to(MARK, NOBODY)?;
        let mut seen = wait_for(PATIENCE, "the end of a capture", || {
            // A half-written record is no error yet.
            let seen = datagrams(&std::fs::read(&self.file)?).unwrap_or_default();
            Ok(seen.iter().any(|datagram| datagram.payload == MARK).then_some(seen))
        })?;
        end(&mut self.tcpdump, PATIENCE)?;
        seen.retain(|datagram| datagram.payload != MARK);
        Ok(seen)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = end(&mut self.tcpdump, PATIENCE);
    }
}

/// The UDP datagrams of a capture file whose packets are bare IP packets, as on a TUN device.
pub fn datagrams(pcap: &[u8]) -> Result<Vec<Datagram>> {
    const MAGIC: [u8; 4] = 0xa1b2_c3d4_u32.to_le_bytes();
    const RAW_IP: u32 = 101;
    let (header, mut rest) = pcap.split_at_checked(24).context("capture file without a header")?;
    ensure!(header.starts_with(&MAGIC), "not a capture file of this machine");
    ensure!(le32(header, 20) == Some(RAW_IP), "the captured device is not a TUN device");
    let mut found = Vec::new();
    while let Some(length) = le32(rest, 8) {
        let record = rest.get(16..16 + length as usize).context("capture file cut short")?;
        found.extend(udp(record));
        rest = rest.get(16 + length as usize..).unwrap_or_default();
    }
    Ok(found)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_le_bytes(*field))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
}

/// The datagram in an IP packet without options of IPv6.
pub(crate) fn udp(packet: &[u8]) -> Option<Datagram> {
    const UDP: u8 = 17;
    let (source, destination, body): (IpAddr, IpAddr, &[u8]) = match packet.first()? >> 4 {
        4 if packet.get(9) == Some(&UDP) => {
            let address = |at| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?).into());
            (address(12)?, address(16)?, packet.get(usize::from(packet.first()? & 15) * 4..)?)
        }
        6 if packet.get(6) == Some(&UDP) => {
            let address = |at| Some(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?).into());
            (address(8)?, address(24)?, packet.get(40..)?)
        }
        _ => return None,
    };
    Some(Datagram {
        source: SocketAddr::new(source, be16(body, 0)?),
        destination: SocketAddr::new(destination, be16(body, 2)?),
        payload: body.get(8..usize::from(be16(body, 4)?))?.to_vec(),
    })
}
