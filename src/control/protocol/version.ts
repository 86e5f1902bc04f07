// The version of the wire protocol: raised with every change of what bytes mean. Peers of different
// versions refuse each other; there is no negotiation, because all hosts of a cluster run one
// release.

export const protocolVersion = 5;

/** The first bytes that a connection carries, whatever its version: "MZZL". */
export const protocolMagic = 0x4c5a5a4d;
