//! The shape that `ARCHITECTURE.md` promises, read from the sources with a parser: which file imports which, where foreign
//! code is called, which names types have, how long files are. There is no list of exceptions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// The layers, bottom up: a file may import from its own top-level module and from lower layers.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "vocabulary",
        &[
            "advice",
            "audio_facts",
            "blocking",
            "chat",
            "citation_syntax",
            "error",
            "frame_diff",
            "fs",
            "input",
            "language",
            "limits",
            "media",
            "money",
            "sanitize",
            "record",
            "sentence",
            "time",
            "timeline",
            "transcript",
        ],
    ),
    ("ground", &["heif", "http", "libav", "program", "store", "webp_animation"]),
    ("audio decoding", &["pcm"]),
    (
        "stages",
        &[
            "audio",
            "digest",
            "documents",
            "encode",
            "grounding",
            "llm",
            "probe",
            "prompt",
            "report",
            "sampling",
            "source",
            "transcribe",
            "video",
        ],
    ),
    ("jobs as data", &["event", "job"]),
    ("analysis", &["analyze"]),
    ("pipelines", &["pipeline"]),
    ("engine", &["engine"]),
    ("facade", &["facade"]),
    ("front", &["cli", "main"]),
];

/// Crates of foreign code and of fronts, and the folders or files that may name them.
const ROOMS: &[(&str, &[&str])] = &[
    ("ffmpeg_the_third", &["libav", "video"]),
    ("libheif_rs", &["heif"]),
    ("opencv", &["video"]),
    ("whisper_rs", &["transcribe/whisper"]),
    ("matrixmultiply", &["transcribe/whisper"]),
    ("turbojpeg", &["encode", "video"]),
    ("webp", &["encode"]),
    ("html2text", &["documents"]),
    ("lopdf", &["documents"]),
    ("zip", &["documents"]),
    ("quick_xml", &["documents", "transcribe/subtitles"]),
    ("symphonia", &["pcm"]),
    ("rusqlite", &["store"]),
    ("blake3", &["store"]),
    ("rubato", &["pcm"]),
    ("jsonschema", &["llm"]),
    ("reqwest", &["http", "llm", "transcribe"]),
    ("clap", &["cli", "main"]),
    ("indicatif", &["cli"]),
    ("console", &["cli"]),
];

/// A module path below the crate: `["llm", "dialect"]`; empty for `lib.rs`.
type Module = Vec<String>;

struct SourceFile {
    /// Below `src/`, with forward slashes.
    path: String,
    module: Module,
    text: String,
    ast: syn::File,
}

impl SourceFile {
    fn top(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    fn is_command(&self) -> bool {
        matches!(self.top(), "cli" | "main")
    }
}

fn sources() -> Vec<SourceFile> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    found.sort();
    let files = found.iter().map(|path| {
        let below = path.strip_prefix(&root).expect("below src").to_str().expect("UTF-8").replace('\\', "/");
        let text = std::fs::read_to_string(path).expect("UTF-8");
        let ast = syn::parse_file(&text).unwrap_or_else(|error| panic!("src/{below}: {error}"));
        let module = below.trim_end_matches(".rs").split('/').filter(|name| *name != "lib").map(str::to_owned);
        SourceFile { module: module.collect(), path: below, text, ast }
    });
    files.collect()
}

/// Whether an item is compiled for tests alone.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string().trim() == "test")
    })
}

/// The names that a `use` brings in, each with its whole path.
fn leaves(tree: &syn::UseTree, before: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    match tree {
        syn::UseTree::Path(path) => leaves(&path.tree, &with(&path.ident), found),
        syn::UseTree::Group(group) => group.items.iter().for_each(|item| leaves(item, before, found)),
        syn::UseTree::Name(name) if name.ident == "self" => {
            found.push((before.last().cloned().unwrap_or_default(), before.to_vec()));
        }
        syn::UseTree::Name(name) => found.push((name.ident.to_string(), with(&name.ident))),
        syn::UseTree::Rename(rename) => found.push((rename.rename.to_string(), with(&rename.ident))),
        syn::UseTree::Glob(_) => found.push(("*".to_owned(), before.to_vec())),
    }
}

/// All paths in the code of a file, tests left out.
#[derive(Default)]
struct Paths {
    uses: Vec<(String, Vec<String>, bool)>,
    inline: Vec<Vec<String>>,
    has_unsafe: bool,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut found = Vec::new();
        leaves(&item.tree, &[], &mut found);
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        self.uses.extend(found.into_iter().map(|(name, path)| (name, path, is_public)));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.inline.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_expr_unsafe(&mut self, item: &'ast syn::ExprUnsafe) {
        self.has_unsafe = true;
        syn::visit::visit_expr_unsafe(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.has_unsafe |= item.unsafety.is_some();
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

fn paths(file: &SourceFile) -> Paths {
    let mut paths = Paths::default();
    paths.visit_file(&file.ast);
    paths
}

/// Modules, and what each re-exports.
struct Tree {
    modules: BTreeSet<Module>,
    exports: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
}

impl Tree {
    fn of(files: &[SourceFile]) -> Self {
        let modules = files.iter().map(|file| file.module.clone()).collect();
        let mut exports: BTreeMap<Module, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        for file in files {
            let public = paths(file).uses.into_iter().filter(|(_, _, is_public)| *is_public);
            exports.insert(file.module.clone(), public.map(|(name, path, _)| (name, path)).collect());
        }
        Self { modules, exports }
    }

    /// The module that defines what `path`, written in `module`, names; None for what is not of this crate. A path that
    /// names a module alone is that module and `true`.
    fn resolve(&self, module: &Module, path: &[String]) -> Option<(Module, bool)> {
        let (first, mut rest) = path.split_first()?;
        let is_main = module.first().is_some_and(|top| matches!(top.as_str(), "cli" | "main"));
        let mut at = match first.as_str() {
            "crate" if is_main => vec!["main".to_owned()],
            "crate" => Vec::new(),
            "vidgist" if is_main => Vec::new(),
            "self" => module.clone(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            name => {
                let child = [module.as_slice(), &[name.to_owned()]].concat();
                if !self.modules.contains(&child) {
                    return None;
                }
                child
            }
        };
        while let Some((next, behind)) = rest.split_first() {
            if next == "super" {
                at.pop();
                rest = behind;
                continue;
            }
            let child = [at.as_slice(), std::slice::from_ref(next)].concat();
            if self.modules.contains(&child) {
                (at, rest) = (child, behind);
                continue;
            }
            if let Some(target) = self.exports.get(&at).and_then(|exports| exports.get(next)) {
                let whole = [target.as_slice(), behind].concat();
                return self.resolve(&at, &whole);
            }
            return Some((at, false));
        }
        Some((at, true))
    }
}

/// Which file takes an item from which other: re-exports are followed to the file that defines it.
fn imports(files: &[SourceFile]) -> BTreeMap<Module, BTreeSet<Module>> {
    let tree = Tree::of(files);
    let mut imports = BTreeMap::new();
    for file in files {
        let (mut found, mut aliases) = (BTreeSet::new(), BTreeMap::new());
        let paths = paths(file);
        for (name, path, is_public) in &paths.uses {
            match tree.resolve(&file.module, path) {
                Some((module, true)) => {
                    aliases.insert(name.clone(), module);
                }
                // A re-export is a signpost, not an import.
                Some((module, false)) if !is_public => {
                    found.insert(module);
                }
                _ => {}
            }
        }
        for path in &paths.inline {
            let target = path.first().and_then(|first| aliases.get(first)).filter(|_| path.len() > 1);
            let resolved = match target {
                Some(module) => tree.resolve(module, &[vec!["self".to_owned()], path[1..].to_vec()].concat()),
                None if path.len() > 1 => tree.resolve(&file.module, path),
                None => None,
            };
            found.extend(resolved.filter(|(_, is_module)| !is_module).map(|(module, _)| module));
        }
        found.remove(&file.module);
        imports.insert(file.module.clone(), found);
    }
    imports
}

fn name(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("/") }
}

fn layer(module: &Module) -> Option<usize> {
    let top = module.first()?;
    LAYERS.iter().position(|(_, modules)| modules.contains(&top.as_str()))
}

#[test]
fn arrows_point_down() {
    let files = sources();
    let mut wrong = Vec::new();
    for (from, targets) in imports(&files).iter().filter(|(from, _)| !from.is_empty()) {
        let own = layer(from).unwrap_or_else(|| panic!("{} is in no layer", name(from)));
        for to in targets.iter().filter(|to| !to.is_empty() && to.first() != from.first()) {
            let other = layer(to).unwrap_or_else(|| panic!("{} is in no layer", name(to)));
            let is_sibling_stage = other == own && LAYERS[own].0 == "stages";
            if other > own || is_sibling_stage {
                wrong.push(format!("{} imports {}", name(from), name(to)));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that point up, or from stage to stage:\n{}", wrong.join("\n"));
}

/// Groups of files that import each other, directly or through others. The tree is small: the closure of every file is
/// computed.
fn circles(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<Module>> {
    fn reach<'a>(from: &'a Module, imports: &'a BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(module) = open.pop() {
            for next in imports.get(module).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen
    }
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        imports.keys().map(|module| (module, reach(module, imports))).collect();
    let mut found: Vec<Vec<Module>> = Vec::new();
    for (module, targets) in &reached {
        if !targets.contains(module) || found.iter().any(|circle| circle.contains(module)) {
            continue;
        }
        let circle = targets.iter().filter(|other| reached.get(*other).is_some_and(|back| back.contains(module)));
        found.push(circle.map(|other| (*other).clone()).collect());
    }
    found
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut imports = imports(&sources());
    // `lib.rs` declares every module, and documents them all.
    imports.remove(&Vec::new());
    for targets in imports.values_mut() {
        targets.remove(&Vec::new());
    }
    let found: Vec<String> = circles(&imports)
        .iter()
        .map(|circle| {
            let edges = circle.iter().flat_map(|from| {
                let inside = imports[from].iter().filter(|to| circle.contains(to));
                inside.map(move |to| format!("{} -> {}", name(from), name(to)))
            });
            edges.collect::<Vec<_>>().join(", ")
        })
        .collect();
    assert!(found.is_empty(), "circles of imports:\n{}", found.join("\n"));
}

/// The types that a file defines outside of its tests.
#[derive(Default)]
struct Types(Vec<String>);

impl<'ast> Visit<'ast> for Types {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.0.push(item.ident.to_string());
        syn::visit::visit_item_trait(self, item);
    }
}

#[test]
fn each_type_name_stands_for_one_type() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources() {
        let mut types = Types::default();
        types.visit_file(&file.ast);
        for name in types.0 {
            places.entry(name).or_default().push(file.path.clone());
        }
    }
    places.retain(|_, files| files.len() > 1);
    let twice: Vec<String> = places.iter().map(|(name, files)| format!("{name}: {}", files.join(", "))).collect();
    assert!(twice.is_empty(), "names of several types:\n{}", twice.join("\n"));
}

/// The string literals of a file outside of its tests and attributes.
#[derive(Default)]
struct Literals(Vec<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.push(literal.value());
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        fn literals(tokens: proc_macro2::TokenStream, found: &mut Vec<String>) {
            for token in tokens {
                match token {
                    proc_macro2::TokenTree::Group(group) => literals(group.stream(), found),
                    proc_macro2::TokenTree::Literal(literal) => found.push(literal.to_string()),
                    _ => {}
                }
            }
        }
        literals(item.tokens.clone(), &mut self.0);
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

#[test]
fn the_library_names_no_flag() {
    let is_flag = |word: &str| {
        word.strip_prefix("--").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()))
    };
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !file.is_command()) {
        let mut literals = Literals::default();
        literals.visit_file(&file.ast);
        for text in literals.0 {
            let flags = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| is_flag(word));
            wrong.extend(flags.map(|flag| format!("src/{}: {flag} in {text:?}", file.path)));
        }
    }
    assert!(wrong.is_empty(), "flags in the library:\n{}", wrong.join("\n"));
}

#[test]
fn foreign_code_stays_in_its_rooms() {
    let mut n_found = 0;
    for file in sources() {
        let paths = paths(&file);
        let firsts: BTreeSet<&String> =
            paths.uses.iter().map(|(_, path, _)| path).chain(&paths.inline).filter_map(|path| path.first()).collect();
        for (foreign, rooms) in ROOMS {
            // A child module may have the name of the crate that it wraps.
            let is_child = file.path.trim_end_matches(".rs").split('/').next_back() != Some(foreign)
                && Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("src")
                    .join(file.path.trim_end_matches(".rs"))
                    .join(format!("{foreign}.rs"))
                    .exists();
            if firsts.contains(&(*foreign).to_owned()) && !is_child {
                n_found += 1;
                assert!(rooms.iter().any(|room| file.path.starts_with(room)), "src/{} names {foreign}", file.path);
            }
        }
        let may_be_unsafe =
            ["libav", "video", "pcm", "transcribe/whisper"].iter().any(|room| file.path.starts_with(room));
        assert!(may_be_unsafe || !paths.has_unsafe, "src/{} has unsafe code", file.path);
    }
    assert!(n_found >= 10, "the test finds foreign code where it is: {n_found} places");
}

#[test]
fn the_library_does_not_print_exit_or_read_the_environment() {
    for file in sources().iter().filter(|file| !file.is_command()) {
        let code = file.text.split("#[cfg(test)]\nmod tests").next().expect("a first part");
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        for word in
            ["println!", "eprintln!", "print!(", "dbg!", "process::exit", "env::var", "io::stdout", "io::stderr"]
        {
            assert!(!code.contains(word), "src/{} has {word}", file.path);
        }
    }
}

#[test]
fn files_are_short() {
    let lengths: Vec<(usize, String)> =
        sources().into_iter().map(|file| (file.text.lines().count(), file.path)).collect();
    let long: Vec<_> = lengths.iter().filter(|(n, _)| *n > 600).collect();
    assert!(long.is_empty(), "over 600 lines: {long:?}");
    let n_short = lengths.iter().filter(|(n, _)| *n < 160).count();
    assert!(2 * n_short >= lengths.len(), "{n_short} of {} files are under 160 lines", lengths.len());
    let n_middle = lengths.iter().filter(|(n, _)| *n < 500).count();
    assert!(20 * n_middle >= 19 * lengths.len(), "{n_middle} of {} files are under 500 lines", lengths.len());
}
