//! The addresses that documents may come from: those that the whole internet can reach.
//!
//! This module has the blocks of the IANA special-purpose address registries (RFC 6890 and its
//! successors) and checks one address. It knows no name, URL or socket. A stranger names the host
//! that is called; this table keeps that host from being a metadata service, a database or a router
//! (CIMD, "SSRF Attacks").
//!
//! The standard library's own predicate, `IpAddr::is_global`, is unstable. It also admits IPv4
//! addresses that are translated to IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A network that is refused, and what it is for.
type Block = (IpNet, &'static str);

/// The parts of IPv4 that are refused, and those of IPv6: what is special within `2000::/3`, and
/// everything outside it. The first block that contains an address names it.
///
/// An IPv6 address that embeds an IPv4 address is refused whatever that address is: the translator
/// may be in a network where private addresses are reachable. The price is that a host behind NAT64
/// fetches from hosts with IPv6 only.
const BLOCKS: [Block; 34] = [
    v4(Ipv4Addr::UNSPECIFIED, 8, "this network"),
    v4(Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    v4(Ipv4Addr::new(100, 64, 0, 0), 10, "shared by the customers of a carrier"),
    v4(Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    v4(Ipv4Addr::new(169, 254, 0, 0), 16, "link-local, with the metadata services of clouds"),
    v4(Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    v4(Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    v4(Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    v4(Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relays"),
    v4(Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    v4(Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarks"),
    v4(Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    v4(Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    v4(Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    v4(Ipv4Addr::new(240, 0, 0, 0), 4, "reserved, or broadcast"),
    v6(Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    v6(Ipv6Addr::LOCALHOST, 128, "loopback"),
    v6(Ipv6Addr::UNSPECIFIED, 96, "IPv4-compatible"),
    v6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, "IPv4-mapped"),
    v6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, "translated to IPv4"),
    v6(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "translated to IPv4 locally"),
    v6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "discarded"),
    v6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "protocol assignments, Teredo among them"),
    v6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    v6(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    v6(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
    v6(Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, "segment routing"),
    v6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "unique local"),
    v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    v6(Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "site-local"),
    v6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
    v6(Ipv6Addr::UNSPECIFIED, 3, "reserved"),
    v6(Ipv6Addr::new(0x4000, 0, 0, 0, 0, 0, 0, 0), 2, "reserved"),
    v6(Ipv6Addr::new(0x8000, 0, 0, 0, 0, 0, 0, 0), 1, "reserved"),
];

const fn v4(address: Ipv4Addr, prefix: u8, purpose: &'static str) -> Block {
    (IpNet::V4(Ipv4Net::new_assert(address, prefix)), purpose)
}

const fn v6(address: Ipv6Addr, prefix: u8, purpose: &'static str) -> Block {
    (IpNet::V6(Ipv6Net::new_assert(address, prefix)), purpose)
}

/// An address that no document may come from, and the block that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is not an address of the public internet: {block} is {purpose}")]
pub struct ForbiddenAddress {
    address: IpAddr,
    block: IpNet,
    purpose: &'static str,
}

impl ForbiddenAddress {
    /// Returns the address.
    pub fn address(&self) -> IpAddr {
        self.address
    }
}

/// Checks that a document may come from `address`. With `allow_loopback`, loopback addresses are
/// admitted as well, and no others.
pub(crate) fn check(address: IpAddr, allow_loopback: bool) -> Result<(), ForbiddenAddress> {
    if allow_loopback && address.is_loopback() {
        return Ok(());
    }
    match BLOCKS.into_iter().find(|(block, _)| block.contains(&address)) {
        Some((block, purpose)) => Err(ForbiddenAddress { address, block, purpose }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(address: &str, loopback: bool) -> Result<(), String> {
        check(address.parse().unwrap(), loopback).map_err(|forbidden| forbidden.to_string())
    }

    #[test]
    fn client_15_public_addresses_are_admitted() {
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
    fn client_15_every_other_address_is_refused_and_its_block_is_named() {
        for (address, block) in [
            ("0.0.0.0", "0.0.0.0/8"),
            ("0.255.255.255", "0.0.0.0/8"),
            ("10.0.0.0", "10.0.0.0/8"),
            ("10.255.255.255", "10.0.0.0/8"),
            ("100.64.0.0", "100.64.0.0/10"),
            ("100.127.255.255", "100.64.0.0/10"),
            ("127.0.0.1", "127.0.0.0/8"),
            ("127.255.255.254", "127.0.0.0/8"),
            ("169.254.169.254", "169.254.0.0/16 is link-local, with the metadata"),
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
    fn a_block_begins_at_its_own_address() {
        for (block, purpose) in BLOCKS {
            assert_eq!(block.trunc(), block, "{purpose}");
        }
    }

    #[test]
    fn client_15_in_development_this_machine_is_admitted_but_not_its_network() {
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
