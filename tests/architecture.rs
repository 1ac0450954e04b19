//! Architecture tests: imports go down the floors, each library is used in one place, and the two
//! migration folders describe one schema.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, lowest first, with the modules on each.
const FLOORS: [&[&str]; 7] = [
    &["config", "clock", "metrics"],
    &["model"],
    &["storage", "mail", "crypto", "messages", "templates"],
    &["oauth", "accounts"],
    &["web"],
    &["app", "assembly", "metrics_stage", "template_check", "testing", "lib"],
    &["cli", "main"],
];

/// Libraries that only some modules or folders may use.
const HOMES: [(&str, &[&str]); 16] = [
    ("sqlx", &["storage"]),
    ("rocket_db_pools", &["storage"]),
    ("argon2", &["crypto"]),
    ("getrandom", &["crypto"]),
    ("rustix", &["crypto"]),
    ("prometheus", &["metrics"]),
    ("lettre", &["mail"]),
    ("tera", &["templates"]),
    ("fluent_bundle", &["messages"]),
    ("fluent_syntax", &["messages"]),
    ("fluent_langneg", &["messages"]),
    ("unic_langid", &["messages"]),
    ("utoipa", &["web", "model"]),
    ("oxide_auth", &["oauth/oxide"]),
    ("oxide_auth_async", &["oauth/oxide"]),
    ("rocket", &["web", "app", "assembly", "metrics_stage", "testing", "cli", "storage", "config"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Source files by their path below `src`, without comments.
fn sources() -> BTreeMap<String, String> {
    let src = root().join("src");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap();
        let code: Vec<&str> =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (name, code.join("\n"))
    };
    files(&src, ".rs").into_iter().map(read).collect()
}

fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// Whether the file is the module or in its folder.
fn is_in(file: &str, module: &str) -> bool {
    file.strip_prefix(module).is_some_and(|rest| rest.starts_with(['/', '.']))
}

fn floor_of(module: &str) -> usize {
    let floor = FLOORS.iter().position(|floor| floor.contains(&module));
    floor.unwrap_or_else(|| panic!("`{module}` is on no floor: say in FLOORS where it belongs"))
}

/// Every module that the code names as `crate::module` or, in the program, `vestibule::module`.
fn named_modules(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for prefix in ["crate::", "vestibule::"] {
        for (position, _) in code.match_indices(prefix) {
            let rest = &code[position + prefix.len()..];
            let list = match rest.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap(),
                None => rest.split([';', ',', ')', '>', ' ', '{']).next().unwrap(),
            };
            for name in list.split(',') {
                let name = name.trim().split("::").next().unwrap_or_default();
                let is_module = FLOORS.iter().any(|floor| floor.contains(&name));
                if is_module {
                    names.push(name.to_owned());
                }
            }
        }
    }
    names
}

#[test]
fn imports_go_down_only() {
    for (file, code) in sources() {
        let own = floor_of(module_of(&file));
        for name in named_modules(&code) {
            // `lib.rs` names every module, and exports the parts of the application
            assert!(
                floor_of(&name) <= own || file == "lib.rs",
                "src/{file} imports `{name}`, which lies above it"
            );
        }
    }
}

#[test]
fn routes_do_not_import_each_other() {
    let sources = sources();
    let routes: Vec<&str> = sources
        .keys()
        .filter_map(|file| file.strip_prefix("web/")?.strip_suffix(".rs"))
        .filter(|name| !name.contains('/') && !["mod", "mounts"].contains(name))
        .collect();
    assert!(routes.contains(&"token"));
    for (file, code) in &sources {
        let is_in_web = file.starts_with("web/") && file != "web/mod.rs";
        for route in routes.iter().filter(|route| is_in_web && **file != format!("web/{route}.rs"))
        {
            for spelling in [format!("super::{route}::"), format!("crate::web::{route}")] {
                // in a folder of `web`, `super` is that folder
                let is_folder = file["web/".len()..].contains('/') && spelling.starts_with("super");
                assert!(
                    is_folder || !code.contains(&spelling),
                    "src/{file} imports the route `{route}`: shared code belongs into a folder of src/web"
                );
            }
        }
    }
}

#[test]
fn each_library_is_used_by_its_home_only() {
    for (file, code) in sources() {
        for (library, homes) in HOMES {
            let names_it = code.match_indices(library).any(|(position, _)| {
                let before = code[..position].chars().next_back();
                let after = &code[position + library.len()..];
                let is_path = after.starts_with("::") || after.starts_with(';');
                is_path && !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            });
            assert!(
                !names_it || homes.iter().any(|home| is_in(&file, home)),
                "src/{file} knows `{library}`, which belongs into {homes:?} alone"
            );
        }
    }
}

/// A source file as a module.
struct Module {
    /// Its place in the tree of modules.
    place: Vec<String>,
    /// The names that it imports, with their paths.
    imports: BTreeMap<String, Vec<String>>,
    /// The paths that it uses. A name that it only hands on (`pub use`) is not used.
    uses: BTreeSet<Vec<String>>,
}

fn segments(path: &str) -> Vec<String> {
    let parts = path.split("::").map(str::trim);
    parts.filter(|part| !["", "*", "self"].contains(part)).map(str::to_owned).collect()
}

/// Adds the names of a `use` tree with their paths.
fn expand(tree: &str, prefix: &[String], imports: &mut BTreeMap<String, Vec<String>>) {
    let (mut depth, mut start) = (0, 0);
    for (position, letter) in tree.char_indices().chain([(tree.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let branch = tree[start..position].trim();
                start = position + 1;
                if let Some((path, list)) = branch.split_once('{') {
                    let list = list.strip_suffix('}').unwrap();
                    expand(list, &[prefix, &segments(path)].concat(), imports);
                } else {
                    let (path, alias) = branch.split_once(" as ").unwrap_or((branch, ""));
                    let path = [prefix, &segments(path)].concat();
                    let name = segments(alias).pop().or(path.last().cloned());
                    imports.extend(name.map(|name| (name, path)));
                }
            }
            _ => {}
        }
    }
}

fn module(file: &str, code: &str) -> Module {
    let mut place = segments(&file.trim_end_matches(".rs").replace('/', "::"));
    place.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
    let code = code.split("mod tests {").next().unwrap();
    let (mut imports, mut handed_on, mut rest) =
        (BTreeMap::new(), BTreeMap::new(), "  ".to_owned());
    for statement in code.split(';') {
        let (before, tree) = statement.rsplit_once("use ").unwrap_or((statement, ""));
        match before.rsplit('\n').next().unwrap().trim() {
            "" if !tree.is_empty() => expand(tree, &[], &mut imports),
            line if line.starts_with("pub") && !tree.is_empty() => {
                expand(tree, &[], &mut handed_on);
            }
            _ => rest.push_str(tree),
        }
        rest = rest + before + " ";
    }
    let words: Vec<&str> =
        rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').collect();
    // `pub(in crate::web)` and `mod web;` name a module, and use nothing of it
    let named = words.windows(3).filter(|three| three[..2] != ["pub", "in"] && three[1] != "mod");
    let is_used = |path: &Vec<String>| path.len() > 1 || handed_on.contains_key(&path.concat());
    let mut uses: BTreeSet<Vec<String>> =
        named.map(|three| segments(three[2])).filter(is_used).collect();
    uses.extend(imports.values().cloned());
    imports.extend(handed_on);
    Module { place, imports, uses }
}

/// The file that defines the item at `path`, as the module at `place` names it; `None` for other
/// crates' items.
fn definition<'m>(
    modules: &'m BTreeMap<Vec<String>, (String, Module)>,
    place: &[String],
    path: &[String],
) -> Option<&'m str> {
    let first = path.first()?;
    let supers = path.iter().take_while(|part| *part == "super").count();
    let (mut place, mut path) = match first.as_str() {
        "crate" | "vestibule" => (vec![], &path[1..]),
        "super" => (place[..place.len().checked_sub(supers)?].to_vec(), &path[supers..]),
        _ => (place.to_vec(), path),
    };
    let origin = (path.first() == Some(first)).then(|| place.clone());
    while let Some((name, rest)) = path.split_first() {
        let child = [place.as_slice(), std::slice::from_ref(name)].concat();
        let (file, module) = modules.get(&place)?;
        if modules.contains_key(&child) {
            (place, path) = (child, rest);
        } else if let Some(import) = module.imports.get(name).filter(|path| path[0] != *name) {
            return definition(modules, &module.place, import);
        } else {
            return (origin != Some(place)).then_some(file);
        }
    }
    modules.get(&place).map(|(file, _)| file.as_str())
}

/// Imports between files form no circle.
///
/// A file imports the file that defines the item; re-exports are followed to it. So a `mod.rs` does
/// not import the children that it only declares and re-exports. If it uses a child (its `stage()`,
/// or its type for a field), that is an import like any other. Then the child, and every file that
/// the child imports, must do without the items that the `mod.rs` defines itself. Items that
/// children share stand in a file of their own, beside the children.
///
/// A method call is no import: several files may add methods to one type.
#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let modules: BTreeMap<Vec<String>, (String, Module)> = sources()
        .into_iter()
        .filter(|(file, _)| file != "main.rs")
        .map(|(file, code)| (module(&file, &code), file))
        .map(|(module, file)| (module.place.clone(), (file, module)))
        .collect();
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, module) in modules.values() {
        let used = module.uses.iter().filter_map(|path| definition(&modules, &module.place, path));
        imports.insert(file, used.filter(|used| used != file).collect());
    }
    assert!(imports["web/mod.rs"].contains("web/token.rs"));
    assert!(imports["web/token.rs"].contains("oauth/password_grant.rs"), "through oauth/mod.rs");
    // files whose imports are gone cannot be in a circle
    loop {
        let left: BTreeSet<&str> = imports.keys().copied().collect();
        imports.values_mut().for_each(|used| used.retain(|file| left.contains(file)));
        imports.retain(|_, used| !used.is_empty());
        if imports.len() == left.len() {
            break;
        }
    }
    let mut way = Vec::new();
    let mut next = imports.keys().next().copied();
    while let Some(file) = next {
        way.push(file);
        next = imports[file].first().copied().filter(|next| !way.contains(next));
    }
    let start = way.last().and_then(|last| imports[last].first());
    way.drain(..way.iter().position(|file| Some(file) == start).unwrap_or(0));
    assert!(way.is_empty(), "these files import each other in a circle: {}", way.join(" -> "));
}

/// `RETURNING` outside a transaction may acknowledge a write whose commit failed.
#[test]
fn no_statement_uses_returning() {
    for (file, code) in sources() {
        assert!(!code.contains("RETURNING"), "src/{file}");
    }
}

#[test]
fn both_engines_have_the_same_migrations() {
    let read = |engine: &str| -> BTreeMap<String, String> {
        let folder = root().join("migrations").join(engine);
        let read = |path: PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // white space aligns columns, and the engines differ in the type of bytes only
            let text = fs::read_to_string(&path).unwrap().replace("BYTEA", "BLOB");
            let words: Vec<&str> = text.split_whitespace().collect();
            (name, words.join(" ").replace(" ,", ","))
        };
        files(&folder, ".sql").into_iter().map(read).collect()
    };
    let (sqlite, postgres) = (read("sqlite"), read("postgres"));
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, postgres);
}

/// A file has one subject: in a longer file readers cannot find things.
#[test]
fn files_stay_short() {
    for (file, code) in sources() {
        let lines = code.split("#[cfg(test)]").next().unwrap().lines().count();
        assert!(lines <= 450, "src/{file} has {lines} lines of code: does it hold one subject?");
    }
}

/// A page names the tests that prove its claims. A reader must be able to find each of them.
#[test]
fn tests_named_in_documents_exist() {
    for (page, least) in [("docs/conformance.md", 60), ("docs/security.md", 20)] {
        let text = read(page);
        let named: Vec<(&str, &str)> = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter_map(|code| code.split_once("::"))
            .filter(|(_, test)| !test.contains(['(', ' ', ':']))
            .collect();
        assert!(named.len() > least, "{page} names {} tests", named.len());
        for (file, test) in named {
            let path = match file.split_once('/') {
                Some(("src", file)) => format!("src/{file}.rs"),
                Some((folder, file)) => format!("tests/{folder}/{file}.rs"),
                None => format!("tests/api/{file}.rs"),
            };
            let code = fs::read_to_string(root().join(&path));
            let code = code.unwrap_or_else(|_| panic!("{page} names {path}"));
            assert!(code.contains(&format!("fn {test}(")), "{page}: {path} has no {test}");
        }
    }
}

/// The link targets of a Markdown file that name a file of the repository.
fn relative_links(text: &str) -> Vec<&str> {
    let outside_code = text.split("```").step_by(2);
    let targets = outside_code.flat_map(|part| part.split("](").skip(1));
    let paths = targets.filter_map(|rest| rest.split([')', '#', ' ']).next());
    paths.filter(|path| !path.is_empty() && !path.contains(':')).collect()
}

#[test]
fn links_between_documents_lead_to_existing_files() {
    let mut pages: Vec<PathBuf> =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    for folder in ["docs", "deploy", "blocklist"] {
        let folder = root().join(folder);
        if folder.is_dir() {
            pages.extend(files(&folder, ".md"));
        }
    }
    let mut followed = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in relative_links(&text) {
            let target = page.parent().unwrap().join(link);
            assert!(target.exists(), "{} links to {link}, which is not there", page.display());
            followed += 1;
        }
    }
    assert!(followed > 20, "{followed} links are not all of them");
}

/// All code parses an address in one way (F16): `EmailAddress::parse`, which is also its `FromStr`.
/// A new file in this list needs a case in `tests/api/inputs.rs`.
#[test]
fn f16_files_that_parse_addresses_are_listed() {
    let mut readers = BTreeSet::new();
    for (file, code) in sources() {
        let code = code.split("#[cfg(test)]").next().unwrap();
        if file != "model/email.rs" && code.contains("EmailAddress::parse") {
            readers.insert(file.clone());
        }
        let splits = code.contains("split_once('@')") || code.contains("contains('@')");
        let known = [
            "model/email.rs",
            "model/password/mod.rs",
            "accounts/operator.rs",
            // the user in a URL, and a form without encoding
            "cli/arguments.rs",
            "config/database_url.rs",
            "config/public_url.rs",
            "config/smtp.rs",
            "config/setting_error.rs",
            "web/guards/form.rs",
        ];
        assert!(!splits || known.contains(&&*file), "src/{file} takes addresses apart");
    }
    let known = [
        "accounts/operator.rs",
        "accounts/sign_in.rs",
        "template_check/mod.rs",
        "web/account/credentials.rs",
        "web/account/sign_in.rs",
        "web/me.rs",
        "web/password_reset.rs",
        "web/sign_up.rs",
    ];
    assert_eq!(readers, known.map(str::to_owned).into());
}

/// The image is built from a copy. A folder that is missing there fails the image's build only.
#[test]
fn dockerfile_copies_every_source_folder() {
    let (image, sent, build) = (read("Dockerfile"), read(".dockerignore"), read("build.rs"));
    let watched =
        build.split("rerun-if-changed=").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut folders: BTreeSet<String> = watched.map(str::to_owned).collect();
    for (_, code) in sources() {
        let text = code.split("include_str!(\"").skip(1);
        let included = text.chain(code.split("include_bytes!(\"").skip(1));
        let included = included.map(|rest| rest.trim_start_matches("../").split(['/', '"']).next());
        folders.extend(included.map(|folder| folder.unwrap().to_owned()));
    }
    for seen in ["blocklist", "messages", "schemas"] {
        assert!(folders.contains(seen), "{folders:?}");
    }
    folders.insert("src".to_owned());
    for folder in folders {
        let copied = image.lines().any(|line| line == format!("COPY {folder} {folder}"));
        assert!(copied, "Dockerfile does not copy {folder}");
        assert!(
            sent.lines().any(|line| line == format!("!{folder}")),
            ".dockerignore holds back {folder}"
        );
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// Cargo needs every target of the manifest to exist, built or not.
#[test]
fn dockerfile_has_every_target_of_the_manifest() {
    let (image, manifest) = (read("Dockerfile"), read("Cargo.toml"));
    let value = |part: &str, key: &str| {
        let line = part.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")))?;
        Some(line.trim_matches('"').to_owned())
    };
    let mut targets = 0;
    for (kind, folder) in
        [("test", "tests"), ("example", "examples"), ("bench", "benches"), ("bin", "src/bin")]
    {
        for part in manifest.split(&format!("\n[[{kind}]]\n")).skip(1) {
            let part = part.split("\n[").next().unwrap();
            // cargo looks only for targets whose path it has to guess
            if value(part, "path").is_none() {
                let file = format!("{folder}/{}.rs", value(part, "name").unwrap());
                assert!(image.contains(&file), "Dockerfile makes no {file}");
                targets += 1;
            }
        }
    }
    assert!(targets > 0);
    let version = value(&manifest, "version").unwrap();
    assert!(image.contains(&format!("\nARG VERSION={version}\n")), "the label has another version");
}

/// The variables such as `VESTIBULE_MAIL__FROM` in this text.
fn variables(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    words.filter_map(|word| word.strip_prefix("VESTIBULE_")).map(str::to_owned).collect()
}

#[test]
fn shipped_deployment_files_name_existing_settings() {
    // sections and keys of Rocket.toml, also the commented ones
    let mut known = BTreeSet::new();
    let mut section = String::new();
    for line in read("Rocket.toml").lines().map(|line| line.trim_start_matches(['#', ' '])) {
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let path: Vec<&str> = header.split('.').skip(2).collect();
            section = match path.first() {
                Some(&"clients") => "CLIENTS__*__".to_owned(),
                Some(name) => format!("{}__", name.to_uppercase()),
                None => String::new(),
            };
        } else if let Some((key, _)) = line.split_once(" = ") {
            known.insert(format!("{section}{}", key.to_uppercase()));
        }
    }
    assert!(known.contains("MAIL__SMTP_URL") && known.contains("PUBLIC_URL"), "{known:?}");
    let mut seen = 0;
    for file in ["compose.yaml", ".env.example", "Dockerfile", "deploy/systemd/vestibule.service"] {
        for name in variables(&read(file)) {
            let parts: Vec<&str> = name.split("__").collect();
            let key = match parts[..] {
                ["CLIENTS", _, key] => format!("CLIENTS__*__{key}"),
                _ => name.clone(),
            };
            // a secret may come from a file
            let is_known = known.contains(&key)
                || key.strip_suffix("_FILE").is_some_and(|key| known.contains(key));
            assert!(is_known, "{file}: there is no setting VESTIBULE_{name}");
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}

#[test]
fn env_example_has_every_variable_of_compose() {
    let (compose, example) = (read("compose.yaml"), read(".env.example"));
    let asked: BTreeSet<&str> = compose
        .split("${")
        .skip(1)
        .map(|rest| rest.split([':', '}']).next().unwrap())
        .filter(|name| *name != "COMPOSE_PROJECT_NAME") // Compose sets it
        .collect();
    let shown: BTreeSet<&str> = example
        .lines()
        .filter_map(|line| line.trim_start_matches("# ").split_once('='))
        .map(|(name, _)| name)
        .filter(|name| *name != "COMPOSE_PROFILES") // Compose reads it itself
        .collect();
    assert_eq!(asked, shown);
    let proxies = read("deploy/caddy/vestibule.Caddyfile") + &read("deploy/compose/Caddyfile");
    for rest in proxies.split("{$").skip(1) {
        let name = rest.split([':', '}']).next().unwrap();
        assert!(compose.contains(&format!("\n      {name}: ")), "compose.yaml sets no {name}");
    }
}
