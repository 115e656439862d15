// A Helia node on loopback for the interop tests. One JSON command a line on stdin, one JSON answer a line on stdout.
// With the multiaddress of a trustless gateway as argument it has no peers and asks that gateway for every block.
//   {"do":"connect","addr":MULTIADDR}  {"do":"add","path":FILE}  {"do":"addAll","path":FOLDER}
//   {"do":"cat","cid":CID,"path":FILE}   writes the file's bytes to FILE
//   {"do":"ls","cid":CID}                both with "below":PATH below the CID, too
import { createReadStream, createWriteStream } from 'node:fs'
import { once } from 'node:events'
import readline from 'node:readline'
import { createHeliaLight } from 'helia'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { trustlessGatewayBlockBroker } from '@helia/trustless-gateway-client'
import { globSource, unixfs } from '@helia/unixfs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify, identifyPush } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { MemoryBlockstore } from 'blockstore-core'
import { MemoryDatastore } from 'datastore-core'
import { CID } from 'multiformats/cid'

const stores = { blockstore: new MemoryBlockstore(), datastore: new MemoryDatastore() }
const libp2p = {
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), identifyPush: identifyPush() }
}
function asking (gateway) {
  const provider = { id: CID.parse('bafkqaaa'), multiaddrs: [multiaddr(gateway)], protocols: ['transport-ipfs-gateway-http'] }
  const helia = createHeliaLight(stores)
  helia.addRouter({ name: 'one gateway', async * findProviders () { yield provider } })
  helia.addBlockBroker(trustlessGatewayBlockBroker({ allowLocal: true, allowInsecure: true }))
  return helia
}

const gateway = process.argv[2]
const helia = gateway ? asking(gateway) : withBitswap(withLibp2pLight(createHeliaLight(stores), libp2p), {})
await helia.start()
const files = unixfs(helia)
const say = answer => process.stdout.write(JSON.stringify(answer) + '\n')

const verbs = {
  async connect ({ addr }) {
    await helia.libp2p.dial(multiaddr(addr))
    return {}
  },
  async add ({ path }) {
    return { cid: String(await files.addByteStream(createReadStream(path))) }
  },
  async addAll ({ path }) {
    let last
    for await (const entry of files.addAll(globSource(path, '**/*', { hidden: true }), { wrapWithDirectory: true })) last = entry
    return { cid: String(last.cid) }
  },
  async cat ({ cid, path, below }) {
    const out = createWriteStream(path)
    for await (const bytes of files.cat(CID.parse(cid), { path: below })) if (!out.write(bytes)) await once(out, 'drain')
    out.end()
    await once(out, 'finish')
    return {}
  },
  async ls ({ cid, below }) {
    const names = []
    for await (const entry of files.ls(CID.parse(cid), { path: below })) names.push(entry.name)
    return { names }
  }
}

say({ addr: gateway ?? String(helia.libp2p.getMultiaddrs()[0]) })
for await (const line of readline.createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  try {
    say(await verbs[command.do](command))
  } catch (error) {
    say({ error: String(error) })
  }
}
process.exit(0)
