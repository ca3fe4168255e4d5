// Certificates of both ends of a KV link.

/** PEM texts. Both ends present their certificate, and trust those that `ca` signed. */
export interface KvTls {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca: Buffer
}
