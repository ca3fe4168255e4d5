// PEM files that an operator names: read, and checked before anything listens with them. A listener with an authority that
// cannot be read would start, and turn everybody away.
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { InvalidArgument } from '@rubato/config'

/** A file and the flag that names it. */
export interface NamedFile {
  readonly flag: string
  readonly file: string
}

export interface CertificateFiles {
  readonly cert: NamedFile
  readonly key: NamedFile
  /** Certificates that sign the other side's; null: the other side shows none. */
  readonly ca: NamedFile | null
}

export interface CertificateTexts {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca: Buffer | null
}

/** Throws InvalidArgument naming the flag of a file that cannot be read, is no PEM of its kind, or does not belong to the others. */
export function readCertificates({ cert, key, ca }: CertificateFiles): CertificateTexts {
  const texts = { cert: read(cert), key: read(key), ca: ca === null ? null : read(ca) }
  const certificate = parsed(cert, 'a PEM certificate', () => new X509Certificate(texts.cert))
  const privateKey = parsed(key, 'a PEM private key without a passphrase', () => createPrivateKey(texts.key))
  if (!certificate.checkPrivateKey(privateKey)) throw new InvalidArgument(key.flag, `${key.file} is not the key of the certificate in ${cert.file} (--${cert.flag})`)
  if (ca !== null) parsed(ca, 'a PEM certificate', () => new X509Certificate(texts.ca!))
  return texts
}

function read({ flag, file }: NamedFile): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new InvalidArgument(flag, `cannot read ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

function parsed<T>({ flag, file }: NamedFile, kind: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new InvalidArgument(flag, `${file} is not ${kind}`, { cause })
  }
}
