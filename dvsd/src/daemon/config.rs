// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvsd.toml`: the administrator's settings. The daemon reads it and never writes it.
//!
//! Every option is described in `systemd/dvsd.toml`, which is installed as the example.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use dvsd::call::MAX_TRIES;
use dvsd::crypto::identity::KeyKind;
use dvsd::id::HostPort;
use dvsd::wire::DEFAULT_PORT;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// All settings; every section and option may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) network: Network,
    pub(crate) identity: Identity,
    pub(crate) audio: Audio,
    pub(crate) media: Media,
    pub(crate) calls: Calls,
    pub(crate) control: Control,
    pub(crate) log: Log,
}

/// `[network]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Network {
    /// `address:port` to listen on; `None` means port 5004 on every address.
    #[serde(deserialize_with = "address_and_port")]
    pub(crate) listen: Option<SocketAddr>,
    /// Nodes through which the overlay is joined, `host:port` each.
    pub(crate) bootstrap: Vec<String>,
    /// Whether neighbours on the local network are looked for, and told that we are there.
    pub(crate) lan: bool,
    /// What this daemon is for.
    pub(crate) role: Role,
    /// Asks others but answers nobody, for links on which every byte is paid for.
    pub(crate) read_only: bool,
    /// Whether the nodes asked for somebody's address are shown neither whose it is nor who asks.
    pub(crate) private_lookups: bool,
    /// Seconds after which the keys of a session are replaced, 10 to 900.
    pub(crate) rekey_seconds: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            listen: None,
            bootstrap: Vec::new(),
            lan: true,
            role: Role::Peer,
            read_only: false,
            private_lookups: true,
            rekey_seconds: 900,
        }
    }
}

/// `[network] role`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Somebody's telephone.
    Peer,
    /// A node for others to join through, without sound or calls.
    Seed,
}

fn address_and_port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || D::Error::custom(format!("[network] listen: {text:?} is not address:port, as in \"[::]:5004\""));
    text.parse().map(Some).map_err(|_| wrong())
}

impl Network {
    /// The bootstrap nodes, checked.
    pub(crate) fn bootstrap_nodes(&self) -> anyhow::Result<Vec<HostPort>> {
        let parse = |text: &String| {
            text.parse().map_err(|_| {
                anyhow::anyhow!(
                    "[network] bootstrap: {text:?} is not host:port, as in \"seed.example.org:{DEFAULT_PORT}\""
                )
            })
        };
        self.bootstrap.iter().map(parse).collect()
    }
}

/// `[identity]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Identity {
    /// The key file; relative paths start in the state directory.
    pub(crate) file: PathBuf,
    /// What a new key is, if the file is not there.
    pub(crate) algorithm: Algorithm,
}

impl Default for Identity {
    fn default() -> Self {
        Self { file: PathBuf::from("identity.pem"), algorithm: Algorithm::P256 }
    }
}

/// `[identity] algorithm`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Algorithm {
    P256,
    P384,
    P521,
    Ed25519,
    Ed448,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl Algorithm {
    pub(crate) const fn kind(self) -> KeyKind {
        match self {
            Self::P256 => KeyKind::P256,
            Self::P384 => KeyKind::P384,
            Self::P521 => KeyKind::P521,
            Self::Ed25519 => KeyKind::Ed25519,
            Self::Ed448 => KeyKind::Ed448,
            Self::Rsa2048 => KeyKind::Rsa2048,
            Self::Rsa3072 => KeyKind::Rsa3072,
            Self::Rsa4096 => KeyKind::Rsa4096,
        }
    }
}

/// `[audio]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Audio {
    /// `alsa`, `wav:IN,OUT`, `tone`, `loop`, `loop:OUT` or `none`.
    pub(crate) backend: String,
    /// ALSA name of the capture device.
    pub(crate) capture: String,
    /// ALSA name of the playback device.
    pub(crate) playback: String,
}

impl Default for Audio {
    fn default() -> Self {
        Self { backend: "alsa".into(), capture: "default".into(), playback: "default".into() }
    }
}

/// `[media]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Media {
    /// Opus bitrate in bit/s, 8000 to 64000.
    pub(crate) bitrate: u32,
    /// Opus complexity, 0 to 10.
    pub(crate) complexity: u8,
}

impl Default for Media {
    fn default() -> Self {
        Self { bitrate: 32_000, complexity: 5 }
    }
}

/// `[calls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Calls {
    /// What happens when somebody who is no contact calls, until a user says otherwise.
    pub(crate) unknown_callers: UnknownCallers,
    /// Whether nobody is to be disturbed, until a user says otherwise.
    pub(crate) do_not_disturb: bool,
    /// Whether calls of contacts are answered at once.
    pub(crate) auto_answer: bool,
    /// Seconds a dialled call may ring, 5 to 60.
    pub(crate) ring_seconds: u64,
    /// How often a dial is tried while the peer is in another call, 1 to 20.
    pub(crate) tries: u8,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            unknown_callers: UnknownCallers::Silent,
            do_not_disturb: false,
            auto_answer: false,
            ring_seconds: 60,
            tries: 1,
        }
    }
}

/// `[calls] unknown_callers`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UnknownCallers {
    /// Ring as for a contact.
    Ring,
    /// The caller hears ringing, nobody is disturbed, a missed call is noted.
    Silent,
    /// Decline.
    Reject,
}

/// `[control]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Control {
    /// Where the control pipes are; `None` leaves it to the command line and the environment.
    pub(crate) directory: Option<PathBuf>,
    /// Users (by number) who may look but not act.
    pub(crate) observe_only: Vec<u32>,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `dvsd=debug`.
    pub(crate) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into() }
    }
}

impl Config {
    /// Reads and checks `file`. A file that is not there means defaults, unless it was named explicitly.
    pub(crate) fn load(file: &Path, explicit: bool) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !explicit => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read the configuration {}", file.display()));
            }
        };
        Self::parse(&text).with_context(|| format!("in {}", file.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| one_line(text, &error))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        self.network.bootstrap_nodes()?;
        if self.network.read_only && self.network.role == Role::Seed {
            bail!("[network] read_only: a seed is there to answer; set role = \"peer\" or read_only = false");
        }
        if !(10..=900).contains(&self.network.rekey_seconds) {
            bail!("[network] rekey_seconds: {} is not between 10 and 900", self.network.rekey_seconds);
        }
        self.audio.backend.parse::<crate::audio::Backend>().context("[audio] backend")?;
        crate::log::filter(&self.log.level).context("[log] level")?;
        if !(8_000..=64_000).contains(&self.media.bitrate) {
            bail!("[media] bitrate: {} is not between 8000 and 64000 bit/s", self.media.bitrate);
        }
        if self.media.complexity > 10 {
            bail!("[media] complexity: {} is not between 0 and 10", self.media.complexity);
        }
        if !(5..=60).contains(&self.calls.ring_seconds) {
            bail!("[calls] ring_seconds: {} is not between 5 and 60", self.calls.ring_seconds);
        }
        if !(1..=MAX_TRIES).contains(&self.calls.tries) {
            bail!("[calls] tries: {} is not between 1 and {MAX_TRIES}", self.calls.tries);
        }
        Ok(())
    }
}

/// A TOML error as one line that names the place.
fn one_line(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let offset = error.span().map_or(0, |span| span.start);
    let line = text.get(..offset).unwrap_or(text).matches('\n').count() + 1;
    anyhow::anyhow!("line {line}: {}", error.message().replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn an_empty_file_means_defaults() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.media.bitrate, 32_000);
        assert_eq!(config.audio.backend, "alsa");
        assert!(config.network.listen.is_none());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_what_would_be_known() {
        let message = error("[network]\nlisten = \"[::]:5004\"\nbotstrap = []\n");
        assert!(message.starts_with("line 3: unknown field `botstrap`"), "{message}");
        assert!(message.contains("bootstrap"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        assert!(error("[media]\nbitrate = 500\n").contains("[media] bitrate"));
        assert!(error("[media]\ncomplexity = 11\n").contains("[media] complexity"));
        assert!(error("[calls]\nring_seconds = 0\n").contains("[calls] ring_seconds"));
        assert!(error("[calls]\ntries = 0\n").contains("[calls] tries"));
        assert!(error("[calls]\ntries = 21\n").contains("[calls] tries"));
        assert!(error("[network]\nbootstrap = [\"host\"]\n").contains("[network] bootstrap"));
        for seconds in [9, 901] {
            assert!(error(&format!("[network]\nrekey_seconds = {seconds}\n")).contains("[network] rekey_seconds"));
        }
        assert!(error("[log]\nlevel = \"loud\"\n").contains("[log] level"));
        assert!(error("[network]\nlisten = \"127.0.0.1\"\n").contains("address:port"));
        assert!(error("[audio]\nbackend = \"jack\"\n").contains("[audio] backend"));
        assert!(error("[network]\nrole = \"server\"\n").contains("unknown variant"));
        assert!(error("[network]\nrole = \"seed\"\nread_only = true\n").contains("[network] read_only"));
        assert!(error("[calls]\nunknown_callers = \"maybe\"\n").contains("unknown variant"));
        assert!(
            error("[identity]\nalgorithm = \"dsa\"\n").contains("expected one of `p256`, `p384`, `p521`, `ed25519`")
        );
    }

    #[test]
    fn every_kind_of_key_but_dsa_can_be_asked_for() {
        let names = ["p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "ed25519", "ed448"];
        let kinds = KeyKind::ALL.into_iter().filter(|kind| *kind != KeyKind::Dsa2048);
        for (name, kind) in names.into_iter().zip(kinds) {
            let config = Config::parse(&format!("[identity]\nalgorithm = \"{name}\"\n")).unwrap();
            assert_eq!(config.identity.algorithm.kind(), kind);
        }
    }

    #[test]
    fn the_installed_example_is_valid_and_equals_the_defaults() {
        let example = include_str!("../../../systemd/dvsd.toml");
        let parsed = Config::parse(example).unwrap();
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Config::default()));
    }
}
