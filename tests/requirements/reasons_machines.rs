//! Requests of clients that act on their own behalf, for `reasons_reached.rs` and `reasons_faces.rs`.

use grantcore::reason::Endpoint;
use grantcore::{Client, Reason};

use crate::keys_entrances::{keyed_at_url, world as world_of_keys};
use crate::reasons_reached::{Provoke, Refused};
use crate::support::World;
use crate::support::clients::metadata;
use crate::support::machines::{job_with, machines, rights};
use crate::support::params::Params;

/// Reasons that nobody else causes.
pub(crate) const MACHINES: &[(Reason, Provoke)] = &[
    (Reason::PrincipalMismatch, || {
        let world = World::of_machines(machines());
        let token = world.machine_token().access;
        let refusal = world.check(&token, &[]).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::ClientFederated, || {
        let world = World::with(machines());
        world.put(Client::federated("workload", rights()).build().unwrap());
        drop(world.token(&Params::machine().set("client_id", "workload")));
        (world, Refused::At(Endpoint::Token))
    }),
];

/// Reasons that an authorization request causes too.
pub(crate) const MACHINES_ELSEWHERE: &[(Reason, Provoke)] = &[
    (Reason::ScopeMalformed, || asking(&[("scope", "\"")])),
    (Reason::ScopeUnknown, || asking(&[("scope", "nothing")])),
    (Reason::ResourceMalformed, || asking(&[("resource", "mcp")])),
    (Reason::ResourceUnknown, || asking(&[("resource", "https://other.example/")])),
    (Reason::ResourceMissing, || {
        let world = World::of_machines(machines().require_resource(true));
        drop(world.machine(&Params::machine()));
        (world, Refused::At(Endpoint::Token))
    }),
    (Reason::ResourceTenantsMixed, || {
        let world =
            World::of_machines(machines().resource("https://mcp.example/{org}/mcp", "read"));
        let params = Params::machine().and("resource", "https://mcp.example/a/mcp");
        drop(world.machine(&params.and("resource", "https://mcp.example/b/mcp")));
        (world, Refused::At(Endpoint::Token))
    }),
    (Reason::MetadataKeysAtUrl, || {
        let world = world_of_keys();
        let own = world.own(&metadata());
        drop(world.manage("PUT", &own.id, &own.token, &own.update(keyed_at_url())));
        (world, Refused::At(Endpoint::Management))
    }),
];

fn asking(more: &[(&str, &str)]) -> (World, Refused) {
    let world = World::of_machines(machines());
    world.put(job_with(rights()));
    let params =
        more.iter().fold(Params::machine(), |params, (name, value)| params.and(name, value));
    drop(world.machine(&params));
    (world, Refused::At(Endpoint::Token))
}
