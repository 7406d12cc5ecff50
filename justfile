# The commands of this repository. `just ci` is what a change must pass; each step of it is a recipe of its own.
# Without `just`: `.ci/tools` installs it into target/tools/bin, with the other tools.

set shell := ["bash", "-euo", "pipefail", "-c"]

target := env('CARGO_TARGET_DIR', justfile_directory() / "target")
export PATH := target / "tools/bin" + ":" + env('PATH')

# Less to write and to link: the names of functions and lines are enough for a backtrace.
export CARGO_PROFILE_DEV_DEBUG := env('CARGO_PROFILE_DEV_DEBUG', "line-tables-only")

# Lists the commands.
default:
    @just --list --unsorted

# Everything that a change must pass. `--full` adds the long load of two processes and more crashes.
ci *flags:
    .ci/run {{ flags }}

# What is quick: while you work.
quick: fmt typos links lints
    cargo test -p grantcore

[private]
tools:
    @.ci/tools

# The format of the code.
[group('checks')]
fmt:
    cargo fmt --all --check

# Spelling: typos.toml.
[group('checks')]
typos: tools
    typos

# Links and anchors of the pages (*.md) within the repository.
[group('checks')]
links: tools
    git ls-files -z --cached --others --exclude-standard '*.md' | xargs -0 lychee --offline --no-progress --include-fragments=anchor-only

# Licenses, banned crates, sources, advisories: deny.toml.
[group('checks')]
deny: tools
    .ci/deny

# Clippy on everything.
[group('checks')]
lints:
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

# What the core's features may depend on. `msrv` compiles each crate with each of its features alone, `lints` with all of them.
[group('checks')]
features:
    .ci/features

# The rendered documentation and its links. `rendered`: as `just test --lints` has rendered it.
[group('checks')]
docs *rendered: tools
    .ci/docs {{ rendered }}

# The core without an operating system.
[group('checks')]
wasm:
    .ci/wasm

# Types of other crates in the public interface.
[group('checks')]
api *rendered: tools checker
    .ci/api {{ rendered }}

[private]
checker:
    .ci/tools cargo-check-external-types 0.5.0

# The public interface against the last release, or against a revision.
[group('checks')]
semver revision='': tools
    .ci/semver {{ revision }}

# The oldest compiler that each crate promises, with the oldest dependencies that it allows: with all features, with none, and with each
# alone. `--powerset`: the core with every combination of its features.
[group('checks')]
msrv *options: tools
    .ci/msrv {{ options }}

# What would be published. `just msrv` compiles it.
[group('checks')]
package:
    cargo package $(.ci/crates -p) --locked --allow-dirty --no-verify

# Installs what the tests start: clients, a browser, databases, a proxy.
[group('tests')]
peers:
    bash testing/clients/install
    command -v chromedriver >/dev/null && command -v chromium-headless-shell >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium-driver chromium-headless-shell >/dev/null; }
    .ci/databases

# All tests, with all features of the core: several test binaries at once. Those whose peers are not installed are skipped. `--lints`: Clippy
# compiles them, and checks what `just lints` checks.
[group('tests')]
test *options:
    .ci/test {{ options }}

# Hostile requests.
[group('tests')]
hostile requests='1000000':
    GRANTCORE_HOSTILE_REQUESTS={{ requests }} cargo test --workspace --test hostile --locked

# Random programs, whose every answer a model predicts.
[group('tests')]
model programs='2000':
    GRANTCORE_MODEL_PROGRAMS={{ programs }} cargo test -p grantcore --release --test hostile --locked -- i22 i32

# Every order in which threads can take the locks of the core.
[group('tests')]
schedules:
    RUSTFLAGS="--cfg grantcore_schedules" cargo test -p grantcore --all-features --lib --locked --target-dir {{ target }}/schedules -- schedules

# The tests of the core that do no I/O, in an interpreter that finds undefined behavior. Minutes.
[group('tests')]
miri:
    .ci/miri

# Which branches of the core its tests reach. Minutes.
[group('tests')]
coverage:
    .ci/coverage

# Faults in the core that no test notices, of the files that match a pattern. Hours for all of them.
[group('tests')]
mutants *patterns:
    testing/mutants/run {{ target }}/mutants {{ patterns }}

# Whether the time of a decision depends on a secret. Minutes, on a machine that does nothing else.
[group('tests')]
constant-time:
    cargo run --release --locked --manifest-path testing/constant-time/Cargo.toml --target-dir {{ target }}/constant-time

# Two processes on one PostgreSQL under load for so many minutes, each of them restarted in turn.
[group('tests')]
load minutes='10':
    GRANTCORE_MINUTES={{ minutes }} GRANTCORE_REQUEST_TIMEOUT=300s cargo test --workspace --locked --test two_processes -- --nocapture one_postgresql

# One fuzz target for so many seconds, from the inputs in tests/corpus on. `all` runs each of them. Not part of CI, which replays the inputs.
[group('tests')]
fuzz target='all' seconds='600':
    .ci/fuzz {{ target }} {{ seconds }}

# Two processes on one database, one of them killed in between. Behind nginx, the other is restarted, and the database is killed.
[group('tests')]
two-processes flows='1000' clients='1000':
    GRANTCORE_FLOWS={{ flows }} GRANTCORE_CLIENTS={{ clients }} cargo test --workspace --locked --test two_processes -- postgresql redis

# Databases that are killed so often, and what they acknowledged.
[group('tests')]
crashes times='50':
    GRANTCORE_CRASHES={{ times }} cargo test --workspace --locked --no-fail-fast --test postgres --test redis -- crash

# The README's first example, which `just test` runs as well.
[group('tests')]
quickstart:
    cargo run --quiet --example quickstart

# The package of the README's command for the server, alone: with no other package's features. `just test` runs the server.
[group('tests')]
server:
    cargo check --quiet --locked -p grantcore-server

# The image of docs/deploy.md, built and run. As root, on Debian; not part of CI, because it takes a release build.
[group('tests')]
image:
    .ci/image

# Instructions and allocations of each step, compared with benches/counts.toml: --bless writes it anew, --peers prints other servers,
# --profile lists functions.
[group('tests')]
counts *options:
    .ci/counts {{ options }}

# The time of each step beside the floor of its design and beside other servers, and how it grows. Minutes; for docs/performance.md.
[group('tests')]
speed:
    cargo run --release --locked --manifest-path testing/peers/Cargo.toml --target-dir {{ target }}/peers --bin times
    cargo run --release --locked --manifest-path testing/peers/Cargo.toml --target-dir {{ target }}/peers --bin growth

# Refreshes per second of each store beside its bare database, or of those that are named: sqlite, postgres, redis. For
# docs/performance.md.
[group('tests')]
durable *stores:
    cargo bench -p grantcore-cross-store --bench durable --locked -- {{ stores }}

# Bytes per grant at rest in each store. For docs/performance.md.
[group('tests')]
sizes:
    cargo bench -p grantcore-cross-store --bench sizes --locked

# Processor time of the server for each request over HTTP, beside a bare handler. `instructions` counts them instead, under Valgrind. For
# docs/performance.md.
[group('tests')]
http *options:
    cargo bench -p grantcore-server --bench http --locked -- {{ options }}

# Writes generated files anew: docs/troubleshooting.md, and the golden records until the first release.
[group('writing')]
bless:
    GRANTCORE_BLESS=1 cargo test -p grantcore --test troubleshooting
    GRANTCORE_BLESS=1 cargo test -p grantcore --test records
