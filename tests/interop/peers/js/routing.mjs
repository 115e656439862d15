// Helia's client of Delegated Routing V1, which comes with it: what it understands of a router's answers, as one JSON object.
//   routing.mjs URL CID PEER NAME   the record of NAME is put back as it came
import { delegatedRoutingV1HttpApiClient } from '@helia/delegated-routing-v1-http-api-client'
import { defaultLogger } from '@libp2p/logger'
import { CID } from 'multiformats/cid'

const [url, cid, peer, name] = process.argv.slice(2)
const client = delegatedRoutingV1HttpApiClient({ url: new URL(url), cacheTTL: 0 })({ logger: defaultLogger() })
await client.start()

const told = async found => {
  const list = []
  for await (const one of found) list.push({ id: String(one.ID), addresses: one.Addrs.map(String), protocols: one.Protocols ?? [] })
  return list
}
const record = async key => {
  try {
    return Buffer.from(await client.getIPNS(key)).toString('base64')
  } catch (error) {
    return error.name
  }
}
const key = CID.parse(name)
const answer = {
  providers: await told(client.getProviders(CID.parse(cid))),
  filtered: await told(client.getProviders(CID.parse(cid), { filterAddrs: ['webrtc'] })),
  none: await told(client.getProviders(CID.parse('bafkreicyogicwhw6r3djcrloqqcq73dtewtxmwbwmytnyhbmih3snccqze'))),
  peers: await told(client.getPeers(CID.parse(peer))),
  record: await record(key),
  missing: await record(CID.parse(peer))
}
await client.putIPNS(key, Buffer.from(answer.record, 'base64'))
await client.stop()
console.log(JSON.stringify(answer))
