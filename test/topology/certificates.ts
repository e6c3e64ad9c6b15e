/**
 * A certificate authority and certificates for TLS tests, written as DER by hand (X.509 v3, ECDSA P-256): no `openssl`
 * command is needed, and a certificate can be wrong in exactly one way.
 */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

/** The one thing that is wrong: validity, issuer, subject, or the authority the client is told to trust. */
export type CertificateFault = 'expired' | 'self-signed' | 'wrong-name' | 'wrong-ca';

interface Certificate {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export interface CertificateSet {
  /** PEM of the authority a client should trust. */
  readonly ca: string;
  readonly server: Certificate;
  readonly client: Certificate;
}

interface Identity {
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

interface CertificateContent {
  readonly subject: Identity;
  readonly issuer: Identity;
  readonly extensions: readonly Buffer[];
  /** Days from now until the certificate ends; negative means it has expired. */
  readonly days: number;
}

const DAY = 86_400_000;

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const significant = length.subarray(length.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.from([tag, 0x80 | significant.length]), significant, body]);
}

const sequence = (...items: readonly Buffer[]) => der(0x30, ...items);
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
const octets = (content: Buffer) => der(0x04, content);

const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
const TRUE = der(0x01, Buffer.from([0xff]));

function nameOf({ name }: Identity): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
}

/** UTCTime `YYMMDDhhmmssZ`. */
function time(at: number): Buffer {
  return der(0x17, Buffer.from(`${new Date(at).toISOString().replace(/\D/g, '').slice(2, 14)}Z`));
}

const AUTHORITY = sequence(oid('551d13'), TRUE, octets(sequence(TRUE)));
const IP_LOOPBACK = sequence(
  oid('551d11'),
  octets(sequence(der(0x87, Buffer.from([127, 0, 0, 1])), dns('localhost'))),
);

function dns(name: string): Buffer {
  return der(0x82, Buffer.from(name));
}

function pem(label: string, content: Buffer): string {
  const lines = content.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

function makeIdentity(name: string): Identity {
  return { name, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) };
}

function makeCertificate({ subject, issuer, extensions, days }: CertificateContent): string {
  const end = Date.now() + days * DAY;
  const start = Math.min(Date.now(), end) - DAY;
  // The leading byte keeps the serial number positive.
  const serial = der(0x02, Buffer.concat([Buffer.from([0x01]), randomBytes(8)]));
  const content = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    serial,
    ECDSA_WITH_SHA256,
    nameOf(issuer),
    sequence(time(start), time(end)),
    nameOf(subject),
    subject.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', content, issuer.privateKey);
  return pem('CERTIFICATE', sequence(content, ECDSA_WITH_SHA256, der(0x03, Buffer.from([0]), signature)));
}

function keyOf({ privateKey }: Identity): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function makeAuthority(name: string): Identity & { readonly cert: string } {
  const authority = makeIdentity(name);
  const content = { subject: authority, issuer: authority, extensions: [AUTHORITY], days: 2 };
  return { ...authority, cert: makeCertificate(content) };
}

/** An authority with one server certificate for 127.0.0.1 and localhost, and one client certificate. */
export function makeCertificates(fault?: CertificateFault): CertificateSet {
  const authority = makeAuthority('Anbar test authority');
  const server = makeIdentity('Anbar test server');
  const client = makeIdentity('Anbar test client');
  const wrongName = sequence(oid('551d11'), octets(sequence(dns('redis.invalid'))));
  const serverCert = makeCertificate({
    subject: server,
    issuer: fault === 'self-signed' ? server : authority,
    extensions: [fault === 'wrong-name' ? wrongName : IP_LOOPBACK],
    days: fault === 'expired' ? -1 : 1,
  });
  const clientCert = makeCertificate({
    subject: client,
    issuer: authority,
    extensions: [IP_LOOPBACK],
    days: 1,
  });
  return {
    ca: fault === 'wrong-ca' ? makeAuthority('Another authority').cert : authority.cert,
    server: { cert: serverCert, key: keyOf(server) },
    client: { cert: clientCert, key: keyOf(client) },
  };
}
