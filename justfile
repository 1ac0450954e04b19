# Shortcuts for the daily commands; optional. `just` lists them. `.ci/run` says what a change has to pass.

# list the commands
default:
    @just --list --unsorted

# start the service at http://127.0.0.1:8000, in the development profile
run *arguments:
    cargo run -- {{ arguments }}

# run all tests that this machine can run
test *filter:
    cargo test --locked {{ filter }}

# run one suite, such as `just suite api r34_`
suite name *filter:
    cargo test --locked --test {{ name }} -- {{ filter }}

# run the lints
lint:
    cargo clippy --locked --all-targets -- -D warnings

# format the code
fmt:
    cargo fmt

# build the documentation of the crate
docs:
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

# write every letter and page as a file, in every language
preview folder='target/preview':
    cargo run --locked -- templates preview --directory {{ folder }}

# run the commands of the README against a server of its own
walk:
    bash scripts/walk

# measure speed against the bare limits of the machine; or `just bench overload`
bench name='ratios' *arguments:
    cargo bench --locked --bench {{ name }} -- {{ arguments }}

# run every check that a change has to pass; installs packages on Debian
ci:
    bash .ci/run
