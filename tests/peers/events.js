// Reads the event files for TensorBoard with other projects' libraries: tfrecord (the framing and
// its checksums) and protobufjs (the messages, by the field numbers of TensorFlow's event.proto,
// summary.proto and histogram.proto). `make check-peers` installs both.
//   node events.js HANDGRAD FOLDER      FOLDER: for a short run that is stopped and resumed
'use strict';
const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const [handgrad, folder] = process.argv.slice(2);
const from = name => require(require.resolve(name, { paths: [process.cwd()] }));
const { RecordReader } = from('tfrecord');
const protobuf = from('protobufjs');

const optional = (id, type) => ({ id, type }),
    repeated = (id, type) => ({ id, type, rule: 'repeated' });
const Event = protobuf.Root.fromJSON({
    nested: {
        HistogramProto: {
            fields: {
                min: optional(1, 'double'),
                max: optional(2, 'double'),
                num: optional(3, 'double'),
                sum: optional(4, 'double'),
                sumSquares: optional(5, 'double'),
                bucketLimit: repeated(6, 'double'),
                bucket: repeated(7, 'double')
            }
        },
        Value: {
            fields: {
                tag: optional(1, 'string'),
                simpleValue: optional(2, 'float'),
                histo: optional(5, 'HistogramProto')
            }
        },
        Summary: { fields: { value: repeated(1, 'Value') } },
        SessionLog: { fields: { status: optional(1, 'int32') } },
        Event: {
            fields: {
                wallTime: optional(1, 'double'),
                step: optional(2, 'int64'),
                fileVersion: optional(3, 'string'),
                summary: optional(5, 'Summary'),
                sessionLog: optional(7, 'SessionLog')
            }
        }
    }
}).lookupType('Event');

let failures = 0;
function report(ok, what) {
    console.log((ok ? 'ok - ' : 'not ok - ') + what);
    failures += !ok;
}
function run(...args) {
    const r = spawnSync(handgrad, args, { cwd: folder, encoding: 'utf8' });
    if (r.status !== 0) throw new Error(args.join(' ') + ': ' + r.stderr);
}

function train() {
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder, { recursive: true });
    let text = '';
    for (let i = 0; i < 3000; i++)
        text += `line ${i}: ${(i * i) % 977} is ${i % 3 ? 'odd' : 'even'}\n`;
    fs.writeFileSync(path.join(folder, 'text.txt'), text);
    fs.writeFileSync(
        path.join(folder, 'small.ini'),
        '[model]\nn_layer = 1\nn_head = 2\nn_embd = 16\nblock_size = 16\n[data]\ndir = data\n' +
            '[train]\nbatch_size = 4\nsteps = 40\neval_every = 20\neval_tokens = 256\n' +
            'checkpoint_every = 20\ntensorboard = yes\n'
    );
    run('tokenize', 'text.txt', '-o', 'data', '--tokenizer', 'byte');
    run('train', 'small.ini', '--out', 'run', '--stop-at', '20');
    run('train', 'small.ini', '--out', 'run', '--resume');
}

async function events() {
    const all = [];
    const files = fs
        .readdirSync(path.join(folder, 'run'))
        .filter(name => name.includes('tfevents'))
        .sort();
    for (const name of files) {
        const reader = await RecordReader.create(path.join(folder, 'run', name));
        for (let bytes, first = true; (bytes = await reader.readRecord()); first = false) {
            const event = Event.decode(Uint8Array.from(bytes));
            if (first && event.fileVersion !== 'brain.Event:2')
                throw new Error(name + ' does not begin with a version');
            all.push(event);
        }
        await reader.close();
    }
    return { all, files: files.length };
}

// simple_value of TensorBoard is a float, the number in metrics.jsonl a double.
const agree = (event, line, tag, key) => {
    const v = event.summary.value.filter(x => x.tag === tag);
    return v.length === 1 && Math.abs(v[0].simpleValue - line[key]) <= 1e-6 * Math.abs(line[key]);
};

function histogramIsConsistent(h) {
    const sum = h.bucket.reduce((a, b) => a + b, 0);
    const rising = h.bucketLimit.every((x, i) => i === 0 || x > h.bucketLimit[i - 1]);
    return (
        h.num > 0 &&
        sum === h.num &&
        rising &&
        h.bucket.length === h.bucketLimit.length &&
        h.min <= h.max &&
        h.max <= h.bucketLimit[h.bucketLimit.length - 1] &&
        h.sumSquares * h.num >= h.sum * h.sum * (1 - 1e-9)
    );
}

(async () => {
    train();
    const lines = fs
        .readFileSync(path.join(folder, 'run', 'metrics.jsonl'), 'utf8')
        .trimEnd()
        .split('\n')
        .map(x => JSON.parse(x));
    const { all, files } = await events();
    const steps = all.filter(e => e.summary),
        of = step => steps.filter(e => Number(e.step) === step);
    const losses = lines.filter(x => x.loss !== undefined),
        evaluated = lines.filter(x => x.val_loss !== undefined);
    report(
        files === 2,
        `tfrecord reads ${files} event files of a resumed run: ${all.length} records, ` +
            'valid checksums'
    );
    report(
        losses.length === 40 &&
            losses.every(
                x =>
                    of(x.step).length === 1 &&
                    agree(of(x.step)[0], x, 'loss/train', 'loss') &&
                    agree(of(x.step)[0], x, 'lr', 'lr') &&
                    agree(of(x.step)[0], x, 'grad_norm', 'grad_norm')
            ),
        'protobufjs finds the loss, learning rate and gradient norm of metrics.jsonl in each of ' +
            `${losses.length} steps`
    );
    report(
        evaluated.length === 2 &&
            evaluated.every(x => agree(of(x.step)[0], x, 'loss/val', 'val_loss')),
        `and the validation loss of ${evaluated.length} evaluations`
    );
    const histograms = steps.flatMap(e => e.summary.value.filter(v => v.histo));
    report(
        histograms.length > 0 &&
            histograms.length % 4 === 0 &&
            histograms.every(v => histogramIsConsistent(v.histo)),
        `and ${histograms.length} histograms with increasing limits and consistent counts`
    );
    report(
        all.some(e => e.sessionLog && e.sessionLog.status === 1 && Number(e.step) === 21),
        'and the START at which TensorBoard discards steps that a resumed run repeats'
    );
    process.exitCode = failures ? 1 : 0;
})();
