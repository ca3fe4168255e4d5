// What went wrong on the way to a NATS server, in words that name the option to change.
import { errors as natsErrors } from '@nats-io/transport-node'
import { RubatoError } from '@rubato/config'

/** Node's and OpenSSL's codes of certificates that do not fit. */
const CERTIFICATE_CODES = /^(UNABLE_TO_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT_|ERR_OSSL_|ERR_SSL_)/

/**
 * Codes: `nats_unauthorized`, `nats_no_jetstream`, `nats_tls`, and `nats_unreachable` for everything else. `servers` without
 * secrets; `wantsTls`: the connection was to be encrypted.
 */
export function connectFailure(servers: readonly string[], wantsTls: boolean, cause: unknown): RubatoError {
  const where = `--nats ${servers.join(', ')}`
  const failure = (code: string, message: string, retryable = false): RubatoError => new RubatoError(code, `${where}: ${message}`, { field: '--nats', retryable, cause })
  const reason = reasonOf(cause)
  if (isUnauthorized(cause)) return failure('nats_unauthorized', 'the server refused these credentials. Check user and password, token, the creds file or the NKey seed')
  if (CERTIFICATE_CODES.test(codeOf(cause))) {
    return failure('nats_tls', `${reason}. Check --nats-ca, which has to sign the server's certificate, the host name in the URL, and --nats-certfile with --nats-keyfile`)
  }
  if (/server does not support 'tls'/.test(reason)) return failure('nats_tls', 'the server offers no TLS. Enable it there, or leave out tls:// and --nats-ca')
  const hint = wantsTls && cause instanceof natsErrors.TimeoutError ? '; a server that wants client certificates (--nats-certfile) does not answer without one' : ''
  return failure('nats_unreachable', `${reason}. Start a server there (nats-server -js), or correct the URL (nats://host:4222)${hint}`, true)
}

/** For a server that is there but has no JetStream, or none for this account. */
export function noJetStream(servers: readonly string[], cause: unknown): RubatoError {
  const message = `--nats ${servers.join(', ')}: the server has no JetStream, which leases need. Start it with nats-server -js, or enable JetStream for this account`
  return new RubatoError('nats_no_jetstream', message, { field: '--nats', cause })
}

function isUnauthorized(cause: unknown): boolean {
  return cause instanceof natsErrors.AuthorizationError || cause instanceof natsErrors.UserAuthenticationExpiredError
}

function codeOf(cause: unknown): string {
  if (!(cause instanceof Error)) return ''
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : codeOf(cause.cause)
}

function reasonOf(cause: unknown): string {
  if (cause instanceof natsErrors.TimeoutError) return 'no NATS server answered in time'
  if (!(cause instanceof Error)) return String(cause)
  const inner = cause.cause instanceof Error && cause.cause.message !== cause.message ? cause.cause.message : ''
  return inner === '' ? cause.message : `${cause.message} (${inner})`
}
