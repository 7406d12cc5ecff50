//! Which addresses documents may come from: those that the whole internet can reach, and no others.
//!
//! What lives here: the blocks of the IANA special-purpose address registries (RFC 6890 and later)
//! that are not that, and the verdict on one address. What never does: a name, a URL or a socket. A
//! stranger names the place that this server connects to; this table is what keeps it from being
//! the metadata service, the database or the router (CIMD, "SSRF Attacks").

use std::net::IpAddr::{self, V4, V6};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Network, length of its prefix, and what it is.
type Block = (IpAddr, u8, &'static str);

/// All of IPv4 that is refused, and all of IPv6: what is special within `2000::/3`, and everything
/// around it. The first block that covers an address names it.
///
/// An IPv4 address inside one of IPv6 is refused whatever it is: whatever translates it may stand
/// where private addresses mean something. The price is that a server behind NAT64 fetches from
/// hosts with IPv6 only.
const BLOCKS: [Block; 34] = [
    (V4(Ipv4Addr::UNSPECIFIED), 8, "this network"),
    (V4(Ipv4Addr::new(10, 0, 0, 0)), 8, "private"),
    (V4(Ipv4Addr::new(100, 64, 0, 0)), 10, "shared by a carrier's customers"),
    (V4(Ipv4Addr::new(127, 0, 0, 0)), 8, "loopback"),
    (V4(Ipv4Addr::new(169, 254, 0, 0)), 16, "link-local, where clouds keep their metadata"),
    (V4(Ipv4Addr::new(172, 16, 0, 0)), 12, "private"),
    (V4(Ipv4Addr::new(192, 0, 0, 0)), 24, "protocol assignments"),
    (V4(Ipv4Addr::new(192, 0, 2, 0)), 24, "documentation"),
    (V4(Ipv4Addr::new(192, 88, 99, 0)), 24, "6to4 relays"),
    (V4(Ipv4Addr::new(192, 168, 0, 0)), 16, "private"),
    (V4(Ipv4Addr::new(198, 18, 0, 0)), 15, "benchmarks"),
    (V4(Ipv4Addr::new(198, 51, 100, 0)), 24, "documentation"),
    (V4(Ipv4Addr::new(203, 0, 113, 0)), 24, "documentation"),
    (V4(Ipv4Addr::new(224, 0, 0, 0)), 4, "multicast"),
    (V4(Ipv4Addr::new(240, 0, 0, 0)), 4, "reserved, or broadcast"),
    (V6(Ipv6Addr::UNSPECIFIED), 128, "unspecified"),
    (V6(Ipv6Addr::LOCALHOST), 128, "loopback"),
    (V6(Ipv6Addr::UNSPECIFIED), 96, "IPv4-compatible"),
    (V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)), 96, "IPv4-mapped"),
    (V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)), 96, "translated to IPv4"),
    (V6(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0)), 48, "translated to IPv4 locally"),
    (V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0)), 64, "discarded"),
    (V6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0)), 23, "protocol assignments, Teredo among them"),
    (V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)), 32, "documentation"),
    (V6(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0)), 16, "6to4"),
    (V6(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0)), 20, "documentation"),
    (V6(Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0)), 16, "segment routing"),
    (V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7, "unique local"),
    (V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10, "link-local"),
    (V6(Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0)), 10, "site-local"),
    (V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8, "multicast"),
    (V6(Ipv6Addr::UNSPECIFIED), 3, "reserved"),
    (V6(Ipv6Addr::new(0x4000, 0, 0, 0, 0, 0, 0, 0)), 2, "reserved"),
    (V6(Ipv6Addr::new(0x8000, 0, 0, 0, 0, 0, 0, 0)), 1, "reserved"),
];

/// An address that no document may come from, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is not an address of the public internet: {network}/{prefix} is {what}")]
pub(crate) struct Forbidden {
    address: IpAddr,
    network: IpAddr,
    prefix: u8,
    what: &'static str,
}

/// Whether a document may come from `address`; with `loopback`, from this machine too, though not
/// from its network.
pub(super) fn judge(address: IpAddr, loopback: bool) -> Result<(), Forbidden> {
    if loopback && address.is_loopback() {
        return Ok(());
    }
    match BLOCKS.into_iter().find(|(network, prefix, _)| covers(*network, *prefix, address)) {
        Some((network, prefix, what)) => Err(Forbidden { address, network, prefix, what }),
        None => Ok(()),
    }
}

fn covers(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let alike = match (network, address) {
        (V4(network), V4(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros(),
        (V6(network), V6(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros(),
        _ => return false,
    };
    alike >= prefix.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(address: &str, loopback: bool) -> Result<(), String> {
        judge(address.parse().unwrap(), loopback).map_err(|forbidden| forbidden.to_string())
    }

    #[test]
    fn public_addresses_are_fine() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::",
            "2001:db7:ffff::1",
            "2001:db9::",
            "2003::1",
            "2606:4700:4700::1111",
            "2a00:1450:4001:80f::200e",
            "3ffe:ffff::1",
        ] {
            assert_eq!(verdict(address, false), Ok(()));
        }
    }

    #[test]
    fn every_other_address_is_refused_and_its_block_named() {
        for (address, block) in [
            ("0.0.0.0", "0.0.0.0/8"),
            ("0.255.255.255", "0.0.0.0/8"),
            ("10.0.0.0", "10.0.0.0/8"),
            ("10.255.255.255", "10.0.0.0/8"),
            ("100.64.0.0", "100.64.0.0/10"),
            ("100.127.255.255", "100.64.0.0/10"),
            ("127.0.0.1", "127.0.0.0/8"),
            ("127.255.255.254", "127.0.0.0/8"),
            ("169.254.169.254", "169.254.0.0/16 is link-local, where clouds keep"),
            ("172.16.0.0", "172.16.0.0/12"),
            ("172.31.255.255", "172.16.0.0/12"),
            ("192.0.0.170", "192.0.0.0/24"),
            ("192.0.2.1", "192.0.2.0/24"),
            ("192.88.99.1", "192.88.99.0/24"),
            ("192.168.0.1", "192.168.0.0/16"),
            ("198.18.0.0", "198.18.0.0/15"),
            ("198.19.255.255", "198.18.0.0/15"),
            ("198.51.100.7", "198.51.100.0/24"),
            ("203.0.113.7", "203.0.113.0/24"),
            ("224.0.0.1", "224.0.0.0/4"),
            ("239.255.255.255", "224.0.0.0/4"),
            ("240.0.0.1", "240.0.0.0/4"),
            ("255.255.255.255", "240.0.0.0/4"),
            ("::", "::/128"),
            ("::1", "::1/128"),
            ("::2", "::/96"),
            ("::8.8.8.8", "::/96"),
            ("::ffff:8.8.8.8", "::ffff:0.0.0.0/96 is IPv4-mapped"),
            ("::ffff:127.0.0.1", "::ffff:0.0.0.0/96"),
            ("::ffff:169.254.169.254", "::ffff:0.0.0.0/96"),
            ("::ffff:0:127.0.0.1", "::/3"),
            ("64:ff9b::a9fe:a9fe", "64:ff9b::/96"),
            ("64:ff9b::8.8.8.8", "64:ff9b::/96"),
            ("64:ff9b:1::1", "64:ff9b:1::/48"),
            ("64:ff9b:2::1", "::/3"),
            ("100::1", "100::/64"),
            ("1fff:ffff::", "::/3"),
            ("2001::1", "2001::/23"),
            ("2001:0:a9fe:a9fe::1", "2001::/23"),
            ("2001:20::1", "2001::/23"),
            ("2001:1ff:ffff::", "2001::/23"),
            ("2001:db8::1", "2001:db8::/32"),
            ("2002:7f00:1::1", "2002::/16"),
            ("2002:808:808::1", "2002::/16"),
            ("3fff::1", "3fff::/20"),
            ("3fff:fff:ffff::1", "3fff::/20"),
            ("4000::", "4000::/2"),
            ("5f00::1", "5f00::/16"),
            ("fbff::1", "8000::/1"),
            ("fc00::1", "fc00::/7"),
            ("fd00:ec2::254", "fc00::/7"),
            ("fe00::1", "8000::/1"),
            ("fe80::1", "fe80::/10"),
            ("fec0::1", "fec0::/10"),
            ("ff02::1", "ff00::/8"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ff00::/8"),
        ] {
            let refusal = verdict(address, false).unwrap_err();
            assert!(refusal.contains(&format!(": {block}")), "{refusal}");
        }
    }

    #[test]
    fn a_block_begins_where_it_says() {
        for (network, prefix, what) in BLOCKS {
            let stray = match network {
                V4(network) => network.to_bits().checked_shl(prefix.into()),
                V6(network) => {
                    network.to_bits().checked_shl(prefix.into()).map(|bits| u32::from(bits != 0))
                }
            };
            assert_eq!(stray.unwrap_or(0), 0, "{network}/{prefix} {what}");
        }
    }

    #[test]
    fn for_local_trials_this_machine_is_fine_but_not_its_network() {
        for address in ["127.0.0.1", "127.1.2.3", "::1"] {
            assert_eq!(verdict(address, true), Ok(()));
        }
        for address in [
            "0.0.0.0",
            "::",
            "10.0.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "fe80::1",
            "fd00::1",
        ] {
            assert!(verdict(address, true).is_err(), "{address}");
        }
    }
}
