// What honest people and programs write into files, as the seed of what others might.

const cache = { seed: 9849381, record_size: 384, el_count: 2000, token_path: './x.conf' };

export const relayConfigs: readonly string[] = [
  `// a relay\n${JSON.stringify({
    edge_supported_relay: true,
    auth_path: 'auths',
    port: 7878,
    address: '127.0.0.1',
    high_water: 0.8,
    path_types: {
      auths: {
        relay: { proc_name: ['global-sessions', './sibling.conf'] },
        cache: { ...cache, am_initializer: true },
      },
    },
  })}`,
  // Its sibling is itself.
  JSON.stringify({
    edge_supported_relay: true,
    path: 'relay.sock',
    path_types: { auths: { relay: { proc_name: ['actor-ipc', './relay.conf'] } } },
  }),
  JSON.stringify({
    edge_supported_relay: true,
    path: 'relay.sock',
    path_types: { auths: { relay: { proc_name: ['actor-ipc', './sibling.conf'] } } },
  }),
  `{ "half_edge": true, "auth_path": "auths", "path": "sibling.sock", "replicas": 2, /* two */ "cache": ${JSON.stringify(cache)}, }`,
  JSON.stringify({
    half_edge: true,
    port: 7880,
    tls: { server_key: 'k', server_cert: 'c', client_cert: 'd', peer_names: ['relay'] },
    max_stale_ms: 100,
    cache,
  }),
  JSON.stringify({
    full_edge: true,
    age_or_replica: 'age-out',
    lru: { manage_section: true, cache },
    message_relay: { auth_path: 'auths', port: 7880, address: 'sibling', path: undefined },
  }),
  '{ "message_relay": { "path": "sibling.sock" }, "lru": { "cache": { "seed": 1 } }, "hooks": "./hooks.js" }',
];

export const envFiles: readonly string[] = [
  'PORT=80\nHOST = "a b"\n# a comment\nEMPTY=\nexport TOKEN=\'x\'\n',
  'TEXT="several\nlines"\nBACK=`a "b"`\nHASH="a#b" # c\n',
  'PATH=/nowhere\nHOME=/\n__proto__=1\nconstructor=2\nNAME WITH=3\n=4\nÜ=ä\n',
];

export const topologies: readonly string[] = [
  `name: demo
children:
  db: { kind: exec, file: /bin/sleep, args: ['1000'], restart: permanent, shutdown: 500 }
  web:
    kind: node
    file: ./web.ts
    dependsOn: { db: { state: operative, mode: bind } }
    backoff: { minMs: 10, maxMs: 100, jitter: 0.5 }
    giveUp: { restarts: 3, periodMs: 1000 }
    env: { A: b }
`,
  `name: nested
strategy: rest-for-one
intensity: 3
children:
  group:
    kind: supervisor
    strategy: one-for-all
    children:
      a: &a { kind: exec, file: sh, args: [-c, 'exec sleep 10'], ready: { log: up } }
      b: { <<: *a, ready: { tcp: { port: 80 } } }
  last: { kind: exec, file: x, dependsOn: { group/a: ready, group: after }, states: { whole: { condition: "len(fp.files) > 1" } } }
`,
  JSON.stringify({
    name: 'json',
    children: {
      x: { kind: 'exec', file: '/bin/true', health: { http: 'http://127.0.0.1:1/' }, significant: true },
    },
  }),
  'a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\nname: lol\nchildren: *c\n',
  '? [complex, key]\n: { name: !!str 1, children: !!set { a, b } }\n---\nname: second\n',
];

export const processFiles: readonly string[] = [
  `# mine
name: master.tws
alias: tws
uri: exec:///usr/bin/java?-jar=x.jar
cmdline: [java, -jar, x.jar]   # as it was found
cwd: /tmp
env: { A: b }
restart: 1
shutdown: false
unit: { giveUp: { restarts: 3, periodMs: 1000 } }
mine: { anything: [1, two, { three: 3 }] }
`,
  `dependences: { master.trader: ['master.tws:operative', other] }
schemes:
  ib: { node: ./trader.ts, app: trader }
`,
  'password: hunter2\ntoken: "x\\ty"\n',
  "cmdline: [a]\nlisten: ['tcp 0.0.0.0:80']\nestablished: []\nudp: []\nfiles: [/etc/hosts]\n",
  'a: &a [1]\nb: [*a, *a]\nname: x\nuri: exec:///x\n',
];

export const conditions: readonly string[] = [
  "state == 'operative' && uptimeMs > 1000",
  "fp.listen.exists(l, l.startsWith('tcp ') && l.endsWith(':80')) || health == 'unhealthy'",
  'len(fp.files) > 3 && len(fp.cmdline[0]) < 10 ? uptimeMs / 2 > 1 : !(state in ["a", "b"])',
  "fp.cmdline.exists(c, c.matches('^j.*a$'))",
  "fp['files'].filter(f, f.contains('log')).size() == 2",
  'fp.all(k, k != "x") && has(fp.udp) && uptimeMs % 0 == 1',
  "fp.cmdline.exists(c, c.matches('(a+)+b'))",
  '9223372036854775807 + uptimeMs > 1 && 1.5e3 < double(uptimeMs)',
  "timestamp('2026-01-01T00:00:00Z') > timestamp(uptimeMs) && duration('1h') > duration('1s')",
  '"\\u00e4\\n" + r"raw" + b"bytes" == """long"""',
];

export const uris: readonly string[] = [
  'exec:///usr/bin/java?-jar=x.jar&port=80#main',
  '<ib://user:pass%20word@host:4001/path?token=abc&password=x&alias=tws',
  '|tcp://[::1]:65535/?a&b=&=c&api_key=1&secret=%41',
  '>x+y.z://:p@?&&&#a#b',
  'http://a@b@c:1/%zz?%=%',
];

const at = 1_760_000_000_000;
const actor = { k: 'actor', at, actor: 'lamp', chart: 'h', value: { a: 'b' }, status: 'active' };
const lines: readonly unknown[] = [
  [
    at,
    {
      type: 'processes',
      units: [{ path: 'lamp', kind: 'node', phase: 'up', dead: [{ process: 'lamp#1' }] }],
    },
  ],
  [
    at + 1,
    {
      type: 'records',
      batches: [
        {
          process: 'lamp#1',
          records: [
            { k: 'chart', hash: 'h', chart: { id: 'lamp', states: {} } },
            actor,
            {
              ...{ k: 'transition', at: at + 2, actor: 'lamp', event: 'turn', value: 'on', status: 'active' },
              ...{ steps: [{ event: 'turn', from: 'lamp.off', to: ['lamp.on'] }], actions: ['light'] },
            },
            { k: 'send', at: at + 3, from: null, to: 'lamp', event: 'turn' },
            { k: 'message', at: at + 3, from: { process: 'lamp#1', actor: 'a' }, to: 'lamp', event: 'x' },
            { k: 'crash', at: at + 4, actor: 'lamp', message: 'burnt', stack: null },
            { k: 'dropped', at: at + 5, count: 3 },
            { k: 'reset', at: at + 6 },
          ],
        },
      ],
    },
  ],
  [at + 7, { type: 'log', lines: [{ at, unit: 'lamp', text: 'on' }] }],
  [at + 8, { type: 'dependences', edges: [] }],
  [at + 9, { type: 'later', what: 'nobody knows' }],
];

/** What a page may be told, one record of each sort. */
export const feedRecords: readonly object[] = (lines[1] as [number, { batches: { records: object[] }[] }])[1]
  .batches[0]!.records;

export const recordings: readonly string[] = [1, 2].map((version) =>
  [{ actorIpc: 'recording', version, startedAtMs: at, topology: { name: 'demo' } }, ...lines]
    .map((line) => JSON.stringify(line))
    .join('\n'),
);

/** What a page may send. */
export const pageMessages: readonly string[] = [
  { type: 'watch', place: { process: 'lamp#1', actor: 'lamp' } },
  { type: 'watch', place: null },
  { type: 'send', place: { process: 'lamp#1', actor: 'lamp' }, event: { type: 'turn', to: 1 } },
  { type: 'resync' },
  { type: 'seek', at: at + 3 },
  { type: 'step', by: -1 },
  { type: 'play', speed: 8 },
  { type: 'pause' },
].map((message) => JSON.stringify(message));

/** What a server may answer to a probe. */
export const httpAnswers: readonly string[] = [
  'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
  'HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'HTTP/1.0 302 Found\r\nlocation: /\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nbytes',
  'SSH-2.0-OpenSSH_9.2\r\n',
];
