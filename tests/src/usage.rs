// SPDX-License-Identifier: GPL-3.0-or-later
//! What a process uses: processor time, memory and network, as the kernel counts them.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

/// The processor time of every thread of a process, at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    at: Instant,
    threads: BTreeMap<u32, Thread>,
}

#[derive(Clone, Debug)]
struct Thread {
    name: String,
    used: Duration,
}

/// What one thread used between two readings.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The thread's name.
    pub name: String,
    /// Milliseconds of a processor per second.
    pub ms_per_s: f64,
}

impl Reading {
    /// What the threads of `pid` have used so far.
    pub fn of(pid: u32) -> Result<Self> {
        let at = Instant::now();
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let directory = entry?.path();
            let Ok(figures) = fs::read_to_string(directory.join("schedstat")) else { continue };
            let Ok(name) = fs::read_to_string(directory.join("comm")) else { continue };
            let nanos = figures.split(' ').next().context("an empty schedstat")?.parse()?;
            let number = directory.file_name().and_then(|name| name.to_str()).context("a thread without a number")?;
            let thread = Thread { name: name.trim().to_owned(), used: Duration::from_nanos(nanos) };
            threads.insert(number.parse()?, thread);
        }
        Ok(Self { at, threads })
    }

    /// What each thread used since `earlier`, the busiest first.
    pub fn since(&self, earlier: &Self) -> Vec<Share> {
        let seconds = (self.at - earlier.at).as_secs_f64();
        let share = |(number, thread): (&u32, &Thread)| {
            let before = earlier.threads.get(number).map_or(Duration::ZERO, |thread| thread.used);
            let used = thread.used.saturating_sub(before).as_secs_f64();
            Share { name: thread.name.clone(), ms_per_s: used * 1_000.0 / seconds }
        };
        let mut shares: Vec<Share> = self.threads.iter().map(share).collect();
        shares.sort_by(|a, b| b.ms_per_s.total_cmp(&a.ms_per_s));
        shares
    }

    /// What all threads together used since `earlier`, in milliseconds of a processor per second.
    pub fn total_since(&self, earlier: &Self) -> f64 {
        self.since(earlier).iter().map(|share| share.ms_per_s).sum()
    }
}

/// Resident memory of `pid`, in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    kilobytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Memory of `pid`, in bytes, where what is shared with other processes counts in proportion.
pub fn proportional(pid: u32) -> Result<u64> {
    kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kilobytes(path: &str, key: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.with_context(|| format!("no {key} in {path}"))?.trim().trim_end_matches(" kB");
    Ok(number.parse::<u64>()? * 1_024)
}

/// What went in and out of a network namespace since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// UDP datagrams of both families that programs received.
    pub received: u64,
    /// UDP datagrams of both families that programs sent.
    pub sent: u64,
    /// Packets of any kind on all devices but loopback, in both directions: also what the kernel says by itself.
    pub packets: u64,
}

impl Traffic {
    /// Of the namespace in which `pid` lives.
    pub fn of(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/net/{file}");
            fs::read_to_string(&path).with_context(|| format!("read {path}"))
        };
        let (v4, devices) = (read("snmp")?, read("dev")?);
        // There is none where IPv6 is missing altogether.
        let v6 = read("snmp6").unwrap_or_default();
        Ok(Self {
            received: udp_v4(&v4, "InDatagrams")? + udp_v6(&v6, "Udp6InDatagrams"),
            sent: udp_v4(&v4, "OutDatagrams")? + udp_v6(&v6, "Udp6OutDatagrams"),
            packets: device_packets(&devices),
        })
    }

    /// What was added since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            received: self.received - earlier.received,
            sent: self.sent - earlier.sent,
            packets: self.packets - earlier.packets,
        }
    }

    /// Datagrams in both directions.
    pub fn datagrams(self) -> u64 {
        self.received + self.sent
    }
}

/// A figure of UDP over IPv4: one line has the names, the next one the values.
fn udp_v4(snmp: &str, name: &str) -> Result<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let found = names.split(' ').zip(values.split(' ')).find(|(found, _)| *found == name);
    Ok(found.with_context(|| format!("no {name}"))?.1.parse()?)
}

fn udp_v6(snmp6: &str, name: &str) -> u64 {
    let mut lines = snmp6.lines().filter_map(|line| line.strip_prefix(name));
    lines.find_map(|rest| rest.trim().parse().ok()).unwrap_or(0)
}

/// Packets received (second column after the name) and sent (tenth) of every device but loopback.
fn device_packets(devices: &str) -> u64 {
    let lines = devices.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    let columns = lines.flat_map(|(_, rest)| rest.split_whitespace().enumerate());
    columns.filter(|(column, _)| [1, 9].contains(column)).filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_and_sleep_is_not() {
        let own = std::process::id();
        let before = Reading::of(own).unwrap();
        let busy = std::thread::Builder::new().name("busy".to_owned()).spawn(|| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(50) {
                core::hint::spin_loop();
            }
            std::thread::sleep(Duration::from_millis(50));
            Reading::of(std::process::id()).unwrap()
        });
        let after = busy.unwrap().join().unwrap();
        let shares = after.since(&before);
        let busy = shares.iter().find(|share| share.name == "busy").unwrap();
        assert!((50.0..950.0).contains(&busy.ms_per_s), "{shares:?}");
        assert!(after.total_since(&before) >= busy.ms_per_s);
    }

    #[test]
    fn figures_of_the_network_are_read_as_the_kernel_writes_them() {
        let snmp = "Ip: Forwarding InReceives\nIp: 1 2\nUdp: InDatagrams NoPorts InErrors OutDatagrams\nUdp: 7 1 0 9\n";
        assert_eq!(["InDatagrams", "OutDatagrams"].map(|name| udp_v4(snmp, name).unwrap()), [7, 9]);
        assert!(udp_v4(snmp, "Forwarding").is_err());
        let snmp6 = "Ip6InReceives                   \t5\nUdp6InDatagrams                 \t3\n";
        assert_eq!([udp_v6(snmp6, "Udp6InDatagrams"), udp_v6("", "Udp6InDatagrams")], [3, 0]);
        let dev = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n\
                   eth0: 600 4 0 0 0 0 0 0 900 6 0 0 0 0 0 0\n";
        assert_eq!(device_packets(dev), 10);
    }

    #[test]
    fn a_datagram_is_counted_where_it_is_sent_and_received() {
        let own = std::process::id();
        let before = Traffic::of(own).unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"hello", socket.local_addr().unwrap()).unwrap();
        socket.recv(&mut [0; 5]).unwrap();
        let during = Traffic::of(own).unwrap().since(before);
        assert!(during.sent >= 1 && during.received >= 1, "{during:?}");
    }

    #[test]
    fn a_process_has_memory() {
        let own = std::process::id();
        let [all, fair] = [resident(own).unwrap(), proportional(own).unwrap()];
        assert!(fair > 100_000 && fair <= all, "{fair} of {all}");
    }
}
