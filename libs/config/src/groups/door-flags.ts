// Where a process listens for clients and operators, and whom it lets in.
import { always, flag } from '../flags/flag.ts'
import { file, matching, onOff, orWord, port } from '../flags/value-schemas.ts'

export const HOST_FLAGS = {
  host: flag({ group: 'Server', help: 'address to listen on', placeholder: 'HOST', schema: matching(/^[\w.:-]+$/, 'must be a host name or an IP address, without scheme, port or brackets'), fallback: '127.0.0.1' }),
  insecure: flag({ group: 'Server', help: 'allow a --host that others can reach without --api-key (clients) or --cluster-certfile (KV)', placeholder: null, schema: onOff(), fallback: false }),
} as const

export const DOOR_FLAGS = {
  port: flag({ group: 'Server', help: 'HTTP port; 0: any free one', placeholder: 'PORT', schema: port(), fallback: 8000, aliases: ['http-port'] }),
  'grpc-port': flag({ group: 'Server', help: 'gRPC port; 0: any free one', placeholder: 'PORT', schema: port(), fallback: 50_051 }),
  'admin-port': flag({ group: 'Server', help: 'gRPC port of the Cluster service for operators; 0: any free one; none: not served', placeholder: 'PORT', schema: orWord('none', port()), fallback: null, defaultText: 'none' }),
  'api-key': flag({ group: 'Server', help: 'bearer token that clients must present', placeholder: 'KEY', schema: matching(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces').nullable(), fallback: null, secret: true }),
  'ssl-certfile': flag({ group: 'Server', help: 'TLS certificate chain (PEM); needs --ssl-keyfile', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
  'ssl-keyfile': flag({ group: 'Server', help: 'TLS private key (PEM)', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
  'ssl-ca-certs': flag({ group: 'Server', help: 'clients must present a certificate signed by one of these (PEM)', placeholder: 'FILE', schema: file(), fallback: null, isPath: always }),
} as const

export const METRICS_FLAGS = {
  'metrics-port': flag({ group: 'Server', help: 'HTTP port of /metrics, /health and /livez; 0: any free one; none: not served', placeholder: 'PORT', schema: orWord('none', port()), fallback: null, defaultText: 'none' }),
} as const
