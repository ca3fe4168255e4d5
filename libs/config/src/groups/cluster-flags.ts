// How a process finds its cluster and how its peers reach it.
import { always, flag } from '../flags/flag.ts'
import { choice, clusterName, file, matching, orWord, port, text, wholeNumber } from '../flags/value-schemas.ts'

const NATS_URL = /^\s*(?:(?:nats|tls):\/\/)?(?:[^\s@,/]+@)?[\w.:[\]-]+\s*(?:,\s*(?:(?:nats|tls):\/\/)?(?:[^\s@,/]+@)?[\w.:[\]-]+\s*)*$/
const natsUrl = () => matching(NATS_URL, 'must be nats://[USER:PASSWORD@]HOST:PORT (or tls://), several separated by commas')

const nats = { group: 'Cluster', placeholder: 'URL', secret: true } as const

/** `rubato serve` works without a broker. */
export const OPTIONAL_NATS_FLAGS = {
  nats: flag({ ...nats, help: 'NATS servers: this process joins their cluster; none: everything stays in this process', schema: orWord('none', natsUrl()), fallback: null, defaultText: 'none' }),
} as const

export const NATS_FLAGS = {
  nats: flag({ ...nats, help: 'NATS servers of the cluster, JetStream enabled; user and password may stand in the URL', schema: natsUrl(), fallback: 'nats://127.0.0.1:4222' }),
} as const

export const CLUSTER_FLAGS = {
  cluster: flag({ group: 'Cluster', help: 'name of the cluster; several can share the NATS servers', placeholder: 'NAME', schema: clusterName(), fallback: 'rubato' }),
  'instance-id': flag({ group: 'Cluster', help: 'name of this process in its cluster; only one at a time may have it', placeholder: 'ID', schema: clusterName().nullable(), fallback: null, defaultText: 'from command, host name and process id' }),
  'nats-creds': flag({ group: 'Cluster', help: 'NATS credentials file (JWT and seed)', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
  'nats-token': flag({ group: 'Cluster', help: 'NATS token', placeholder: 'TOKEN', schema: text().nullable(), fallback: null, secret: true }),
  'nats-nkey': flag({ group: 'Cluster', help: 'NATS NKey seed file', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
  'nats-ca': flag({ group: 'Cluster', help: 'TLS to NATS: certificates that sign the servers\' (PEM)', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
  'nats-certfile': flag({ group: 'Cluster', help: 'TLS to NATS: our certificate (PEM); needs --nats-keyfile', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
  'nats-keyfile': flag({ group: 'Cluster', help: 'TLS to NATS: our private key (PEM)', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
} as const

export const KV_FLAGS = {
  'kv-port': flag({ group: 'Cluster', help: 'gRPC port that peers pull KV blocks from; 0: any free one', placeholder: 'PORT', schema: port(), fallback: 0 }),
  'advertise-address': flag({ group: 'Cluster', help: 'host name or IP address that peers reach this process at; with a port where that is another than the one it listens on', placeholder: 'HOST[:PORT]', schema: matching(/^([\w.:-]+|\[[\w.:-]+\]:\d+)$/, 'must be a host name or an IP address, or HOST:PORT ([HOST]:PORT with IPv6), without scheme').nullable(), fallback: null, defaultText: '--host, or this machine\'s first address when that is a wildcard' }),
  'cluster-certfile': flag({ group: 'Cluster', help: 'mutual TLS between instances and speculators: certificate (PEM); needs the other two --cluster-* files', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
  'cluster-keyfile': flag({ group: 'Cluster', help: 'mutual TLS between instances and speculators: private key (PEM)', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
  'cluster-ca-certs': flag({ group: 'Cluster', help: 'mutual TLS between instances and speculators: certificates that sign every one of theirs (PEM)', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
} as const

/** How instances reach a speculator. */
export const DRAFT_LISTENER_FLAGS = {
  'draft-port': flag({ group: 'Cluster', help: 'gRPC port that instances have tokens drafted at; 0: any free one', placeholder: 'PORT', schema: port(), fallback: 0 }),
  'advertise-address': KV_FLAGS['advertise-address'],
  'cluster-certfile': KV_FLAGS['cluster-certfile'],
  'cluster-keyfile': KV_FLAGS['cluster-keyfile'],
  'cluster-ca-certs': KV_FLAGS['cluster-ca-certs'],
} as const

export const ROLE_FLAGS = {
  role: flag({ group: 'Scheduling', help: 'prefill|decode|mixed: what dispatch prefers it for; every instance can do everything', placeholder: 'ROLE', schema: choice(['prefill', 'decode', 'mixed']).nullable(), fallback: null, defaultText: "the command's" }),
} as const

export const COUNT_FLAGS = {
  prefill: flag({ group: 'Scheduling', help: 'instances meant for prompts', placeholder: 'N', schema: wholeNumber(0, 64), fallback: 0 }),
  decode: flag({ group: 'Scheduling', help: 'instances meant for tokens', placeholder: 'N', schema: wholeNumber(0, 64), fallback: 0 }),
  mixed: flag({ group: 'Scheduling', help: 'instances that do both prompts and tokens', placeholder: 'N', schema: wholeNumber(0, 64).nullable(), fallback: null, defaultText: '1, or 0 with --prefill or --decode' }),
  speculators: flag({ group: 'Scheduling', help: 'speculators: draft models that all instances of this process share (of a cluster: rubato speculator)', placeholder: 'N', schema: wholeNumber(0, 16), fallback: 0 }),
} as const
