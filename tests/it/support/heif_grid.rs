//! Makes a large HEIC or AVIF of one tile, repeated in a grid, as phones store large pictures (ISO/IEC 23008-12, 6.6.2.3).
//! All tiles share the bytes of one, so that it is made at once.

/// A box of ISO/IEC 14496-12.
fn mp4_box(kind: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], &kind, &body].concat()
}

/// A box with a version of 0 or more, and flags.
fn full_box(kind: [u8; 4], version: u8, flags: u8, parts: &[&[u8]]) -> Vec<u8> {
    mp4_box(kind, &[&[&[version, 0, 0, flags][..]], parts].concat())
}

/// The body of the first box of a kind, wherever it is nested.
fn body(bytes: &[u8], kind: [u8; 4]) -> &[u8] {
    let at = bytes.windows(4).position(|window| window == kind).expect("a box of this kind");
    let n_bytes = u32::from_be_bytes(bytes[at - 4..at].try_into().expect("4 bytes")) as usize;
    &bytes[at + 4..at - 4 + n_bytes]
}

/// A picture of `columns` by `rows` tiles, cut to `width` and `height`. `tile` is a file of one picture of `edge` by `edge`
/// pixels, as heif-enc writes it. `turns` are transformations, each a property with one byte.
pub fn grid(
    tile: &[u8],
    edge: u32,
    (columns, rows): (u8, u8),
    (width, height): (u16, u16),
    turns: &[(&[u8; 4], u8)],
) -> Vec<u8> {
    let is_avif = &tile[8..12] == b"avif";
    let (brand, item, config) = if is_avif { (b"avif", b"av01", b"av1C") } else { (b"heic", b"hvc1", b"hvcC") };
    let n_tiles = u16::from(columns) * u16::from(rows);
    let data = body(tile, *b"mdat");
    let layout = [&[0, 0, rows - 1, columns - 1][..], &width.to_be_bytes(), &height.to_be_bytes()].concat();
    let size = |w: u32, h: u32| full_box(*b"ispe", 0, 0, &[&w.to_be_bytes(), &h.to_be_bytes()]);
    let (id, all) = (|number: u16| number.to_be_bytes(), 1..=n_tiles);
    let grid_id = n_tiles + 1;

    let info = |number: u16, kind: &[u8; 4], is_hidden: bool| {
        full_box(*b"infe", 2, u8::from(is_hidden), &[&id(number), &[0, 0], kind, &[0]])
    };
    let mut infos: Vec<Vec<u8>> = all.clone().map(|number| info(number, item, true)).collect();
    infos.push(info(grid_id, b"grid", false));
    let references: Vec<u8> = all.clone().flat_map(id).collect();
    let turned: Vec<u8> = turns.iter().flat_map(|(kind, value)| mp4_box(**kind, &[&[*value]])).collect();
    let properties = mp4_box(
        *b"ipco",
        &[
            &mp4_box(*config, &[body(tile, *config)]),
            &size(edge, edge),
            &size(width.into(), height.into()),
            &full_box(*b"pixi", 0, 0, &[&[3, 8, 8, 8]]),
            // sRGB, BT.601, full range: what heif-enc makes.
            &mp4_box(*b"colr", &[b"nclx\0\x01\0\x0d\0\x06\x80"]),
            &turned,
        ],
    );
    // The decoder's configuration is essential.
    let mut associations: Vec<Vec<u8>> =
        all.clone().map(|number| [&id(number)[..], &[4, 0x81, 2, 4, 5]].concat()).collect();
    // Transformations are essential too, and in order.
    let turns: Vec<u8> = (6..).take(turns.len()).map(|number: u8| 0x80 | number).collect();
    associations.push([&id(grid_id)[..], &[3 + turns.len() as u8, 3, 4, 5], &turns].concat());
    let n_items = (u32::from(n_tiles) + 1).to_be_bytes();

    let head = mp4_box(*b"ftyp", &[brand, &[0; 4], b"mif1", brand, b"miaf"]);
    let meta = |offset: u32| {
        let place = |number: u16, at: u32, n_bytes: usize| {
            [&id(number)[..], &[0, 0], &[0, 1], &at.to_be_bytes(), &(n_bytes as u32).to_be_bytes()].concat()
        };
        let mut places: Vec<Vec<u8>> = all.clone().map(|number| place(number, offset, data.len())).collect();
        places.push(place(grid_id, offset + data.len() as u32, layout.len()));
        full_box(
            *b"meta",
            0,
            0,
            &[
                &full_box(*b"hdlr", 0, 0, &[&[0; 4], b"pict", &[0; 13]]),
                &full_box(*b"pitm", 0, 0, &[&id(grid_id)]),
                &full_box(*b"iloc", 0, 0, &[&[0x44, 0], &id(grid_id), &places.concat()]),
                &full_box(*b"iinf", 0, 0, &[&id(grid_id), &infos.concat()]),
                &full_box(*b"iref", 0, 0, &[&mp4_box(*b"dimg", &[&id(grid_id), &id(n_tiles), &references])]),
                &mp4_box(*b"iprp", &[&properties, &full_box(*b"ipma", 0, 0, &[&n_items, &associations.concat()])]),
            ],
        )
    };
    let offset = (head.len() + meta(0).len() + 8) as u32;
    [head, meta(offset), mp4_box(*b"mdat", &[data, &layout])].concat()
}
