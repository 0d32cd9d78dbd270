-- PANA for Wireshark 4.0 with what its own dissector lacks: the E bit of RFC 5873, the relay of
-- RFC 6345 and the encryption of RFC 6786. Takes UDP port 716 over.
--
--   tshark -X lua_script:pana_preauth.lua -r run.pcapng -Y pana_mpa
--
-- Expert errors stand for what breaks RFC 5191; unknown AVPs are notes, not errors.

local pana = Proto("pana_mpa", "Protocol for carrying Authentication for Network Access (RFC 5191, 5873, 6345, 6786)")

local types = { [1] = "Client-Initiation", [2] = "Auth", [3] = "Termination", [4] = "Notification", [5] = "Relay" }
local short = { [1] = "PCI", [2] = "PA", [3] = "PT", [4] = "PN", [5] = "PRY" }
local avps = {
  [1] = "AUTH", [2] = "EAP-Payload", [3] = "Integrity-Algorithm", [4] = "Key-Id", [5] = "Nonce",
  [6] = "PRF-Algorithm", [7] = "Result-Code", [8] = "Session-Lifetime", [9] = "Termination-Cause",
  [10] = "PaC-Information", [11] = "Relayed-Message", [12] = "Encryption-Encap", [13] = "Encryption-Algorithm",
}
local results = { [0] = "PANA_SUCCESS", [1] = "PANA_AUTHENTICATION_REJECTED", [2] = "PANA_AUTHORIZATION_REJECTED" }
local causes = { [1] = "LOGOUT", [4] = "ADMINISTRATIVE", [8] = "SESSION_TIMEOUT" }
local prfs = { [2] = "PRF_HMAC_SHA1", [5] = "PRF_HMAC_SHA2_256" }
local integrities = { [7] = "AUTH_HMAC_SHA1_160", [12] = "AUTH_HMAC_SHA2_256_128" }
local encryptions = { [1] = "AES128_CTR" }

local f = {
  reserved = ProtoField.uint16("pana_mpa.reserved", "Reserved", base.HEX),
  length = ProtoField.uint16("pana_mpa.length", "Message Length", base.DEC),
  flags = ProtoField.uint16("pana_mpa.flags", "Flags", base.HEX),
  r = ProtoField.bool("pana_mpa.flags.r", "Request", 16, nil, 0x8000),
  s = ProtoField.bool("pana_mpa.flags.s", "Start", 16, nil, 0x4000),
  c = ProtoField.bool("pana_mpa.flags.c", "Complete", 16, nil, 0x2000),
  a = ProtoField.bool("pana_mpa.flags.a", "re-Authentication", 16, nil, 0x1000),
  p = ProtoField.bool("pana_mpa.flags.p", "Ping", 16, nil, 0x0800),
  i = ProtoField.bool("pana_mpa.flags.i", "IP Reconfiguration", 16, nil, 0x0400),
  e = ProtoField.bool("pana_mpa.flags.e", "prE-authentication", 16, nil, 0x0200),
  type = ProtoField.uint16("pana_mpa.type", "Message Type", base.DEC, types),
  name = ProtoField.string("pana_mpa.name", "Message"),
  session = ProtoField.uint32("pana_mpa.session", "Session Identifier", base.HEX),
  sequence = ProtoField.uint32("pana_mpa.sequence", "Sequence Number", base.DEC),
  avp = ProtoField.none("pana_mpa.avp", "AVP"),
  avp_code = ProtoField.uint16("pana_mpa.avp.code", "AVP Code", base.DEC, avps),
  avp_flags = ProtoField.uint16("pana_mpa.avp.flags", "AVP Flags", base.HEX),
  avp_vendor_bit = ProtoField.bool("pana_mpa.avp.flags.v", "Vendor", 16, nil, 0x8000),
  avp_length = ProtoField.uint16("pana_mpa.avp.length", "AVP Length", base.DEC),
  avp_reserved = ProtoField.uint16("pana_mpa.avp.reserved", "Reserved", base.HEX),
  avp_vendor = ProtoField.uint32("pana_mpa.avp.vendor", "Vendor-Id", base.DEC),
  padding = ProtoField.bytes("pana_mpa.avp.padding", "Padding"),
  value = ProtoField.bytes("pana_mpa.avp.value", "Value"),
  auth = ProtoField.bytes("pana_mpa.auth", "AUTH"),
  integrity = ProtoField.uint32("pana_mpa.integrity", "Integrity-Algorithm", base.DEC, integrities),
  key_id = ProtoField.uint32("pana_mpa.key_id", "Key-Id", base.DEC),
  nonce = ProtoField.bytes("pana_mpa.nonce", "Nonce"),
  prf = ProtoField.uint32("pana_mpa.prf", "PRF-Algorithm", base.DEC, prfs),
  result = ProtoField.uint32("pana_mpa.result", "Result-Code", base.DEC, results),
  lifetime = ProtoField.uint32("pana_mpa.lifetime", "Session-Lifetime (s)", base.DEC),
  cause = ProtoField.uint32("pana_mpa.cause", "Termination-Cause", base.DEC, causes),
  pac4 = ProtoField.ipv4("pana_mpa.pac.ipv4", "PaC Address"),
  pac6 = ProtoField.ipv6("pana_mpa.pac.ipv6", "PaC Address"),
  pac_port = ProtoField.uint16("pana_mpa.pac.port", "PaC Port", base.DEC),
  encap = ProtoField.bytes("pana_mpa.encap", "Encrypted AVPs"),
  encryption = ProtoField.uint32("pana_mpa.encryption", "Encryption-Algorithm", base.DEC, encryptions),
}
pana.fields = f

local bad = ProtoExpert.new("pana_mpa.bad", "Breaks RFC 5191", expert.group.PROTOCOL, expert.severity.ERROR)
local cut = ProtoExpert.new("pana_mpa.cut", "Lengths do not fit", expert.group.MALFORMED, expert.severity.ERROR)
local unknown = ProtoExpert.new("pana_mpa.unknown", "Not known to this dissector", expert.group.UNDECODED, expert.severity.NOTE)
pana.experts = { bad, cut, unknown }

local eap = Dissector.get("eap")
local HEADER, AVP_HEADER = 16, 8

-- Unsigned32 AVPs: their field.
local numbers = { [3] = f.integrity, [4] = f.key_id, [6] = f.prf, [7] = f.result, [8] = f.lifetime, [9] = f.cause, [13] = f.encryption }
-- Flags that a message may have besides R and E (RFC 5191 s6.2).
local allowed = { [1] = 0x0200, [2] = 0x6600, [3] = 0x0200, [4] = 0x1a00, [5] = 0 }

local function has(flags, mask) return bit.band(flags, mask) ~= 0 end

local function name_of(kind, flags)
  local base_name = short[kind] or ("type " .. kind)
  if kind >= 2 and kind <= 4 then base_name = base_name .. (has(flags, 0x8000) and "R" or (kind == 3 and "A" or (kind == 2 and "N" or "A"))) end
  local letters = ""
  for _, one in ipairs({ { 0x4000, "S" }, { 0x2000, "C" }, { 0x1000, "A" }, { 0x0800, "P" }, { 0x0400, "I" }, { 0x0200, "E" } }) do
    if has(flags, one[1]) then letters = letters .. one[2] end
  end
  return letters == "" and base_name or (base_name .. "[" .. letters .. "]")
end

local function check_flags(tree, kind, flags)
  local extra = bit.band(flags, bit.bnot(allowed[kind] or 0), 0x7e00)
  if extra ~= 0 then tree:add_proto_expert_info(bad, string.format("flags %#06x have no place in this message", extra)) end
  if (kind == 1 or kind == 5) and has(flags, 0x8000) then tree:add_proto_expert_info(bad, "this message is no request") end
  if has(flags, 0x4000) and has(flags, 0x2000) then tree:add_proto_expert_info(bad, "both first and last") end
  if kind == 4 and has(flags, 0x1000) == has(flags, 0x0800) then tree:add_proto_expert_info(bad, "needs exactly one of A and P") end
  if kind == 2 and has(flags, 0x0400) and not has(flags, 0x8000) then tree:add_proto_expert_info(bad, "I is for requests") end
end

local dissect_message

local function dissect_value(code, value, tree, pinfo, root)
  local size = value:len()
  local field = numbers[code]
  if field then
    if size ~= 4 then tree:add_proto_expert_info(bad, "an Unsigned32 has 4 octets") return end
    local item = tree:add(field, value)
    if code == 7 and not results[value:uint()] then item:add_proto_expert_info(bad, "no such result") end
  elseif code == 1 then
    tree:add(f.auth, value)
  elseif code == 2 then
    if size < 4 then tree:add_proto_expert_info(bad, "an EAP packet has at least 4 octets") return end
    local protocol = tostring(pinfo.cols.protocol)
    local info = tostring(pinfo.cols.info)
    eap:call(value:tvb(), pinfo, tree)
    pinfo.cols.protocol = protocol
    pinfo.cols.info = info
  elseif code == 5 then
    local item = tree:add(f.nonce, value)
    if size < 8 or size > 256 then item:add_proto_expert_info(bad, "a nonce has 8 to 256 octets") end
  elseif code == 10 then
    if size == 6 then tree:add(f.pac4, value(0, 4))
    elseif size == 18 then tree:add(f.pac6, value(0, 16))
    else tree:add_proto_expert_info(bad, "neither an IPv4 nor an IPv6 address with a port") return end
    tree:add(f.pac_port, value(size - 2, 2))
  elseif code == 11 then
    dissect_message(value:tvb(), pinfo, tree, root, true)
  elseif code == 12 then
    tree:add(f.encap, value)
  else
    tree:add(f.value, value)
    tree:add_proto_expert_info(unknown)
  end
end

-- Codes of the AVPs in their order.
local function dissect_avps(tvb, at, pinfo, tree, root)
  local codes = {}
  local size = tvb:len()
  while at < size do
    if size - at < AVP_HEADER then tree:add_proto_expert_info(cut, "octets after the last AVP") return codes end
    local code = tvb(at, 2):uint()
    local vendor = has(tvb(at + 2, 2):uint(), 0x8000)
    local length = tvb(at + 4, 2):uint()
    local start = at + AVP_HEADER + (vendor and 4 or 0)
    local padded = length + (4 - length % 4) % 4
    local name = vendor and "vendor's" or (avps[code] or "unknown")
    if start + padded > size then
      tree:add(f.avp, tvb(at)):set_text("AVP: " .. name)
        :add_proto_expert_info(cut, "AVP exceeds the message")
      return codes
    end
    local item = tree:add(f.avp, tvb(at, start + padded - at)):set_text("AVP: " .. name)
    item:add(f.avp_code, tvb(at, 2))
    local flags = item:add(f.avp_flags, tvb(at + 2, 2))
    flags:add(f.avp_vendor_bit, tvb(at + 2, 2))
    item:add(f.avp_length, tvb(at + 4, 2))
    item:add(f.avp_reserved, tvb(at + 6, 2))
    if vendor then
      item:add(f.avp_vendor, tvb(at + 8, 4))
      if length > 0 then item:add(f.value, tvb(start, length)) end
      item:add_proto_expert_info(unknown)
    elseif length > 0 then
      dissect_value(code, tvb(start, length), item, pinfo, root)
    elseif numbers[code] or code == 2 or code == 5 or code == 10 or code == 11 then
      item:add_proto_expert_info(bad, "empty")
    end
    if padded > length then
      local padding = item:add(f.padding, tvb(start + length, padded - length))
      if tvb(start + length, padded - length):bytes():tohex():find("[^0]") then
        padding:add_proto_expert_info(bad, "padding is not zero")
      end
    end
    codes[#codes + 1] = vendor and -1 or code
    at = start + padded
  end
  return codes
end

local function check_avps(tree, kind, flags, codes, relayed)
  local seen = {}
  for place, code in ipairs(codes) do
    seen[code] = true
    if code == 1 and place ~= #codes then tree:add_proto_expert_info(bad, "AUTH is not the last AVP") end
  end
  local request = has(flags, 0x8000)
  if kind == 1 and (seen[1] or seen[2]) then tree:add_proto_expert_info(bad, "a PCI has neither AUTH nor EAP") end
  if kind == 3 and request and codes[1] ~= 9 and codes[1] ~= 12 then tree:add_proto_expert_info(bad, "Termination-Cause is not the first AVP") end
  if kind == 5 and not (seen[10] and seen[11]) then tree:add_proto_expert_info(bad, "a relay message needs PaC-Information and Relayed-Message") end
  if kind == 2 and request and has(flags, 0x2000) and not seen[7] then tree:add_proto_expert_info(bad, "the last request has no Result-Code") end
  if seen[12] and not seen[1] then tree:add_proto_expert_info(bad, "Encryption-Encap without AUTH") end
  if relayed and kind == 5 then tree:add_proto_expert_info(bad, "a relayed message relays another") end
end

dissect_message = function(tvb, pinfo, tree, root, relayed)
  local item = tree:add(pana, tvb())
  if tvb:len() < HEADER then
    item:add_proto_expert_info(cut, "shorter than a header")
    return
  end
  local flags, kind = tvb(4, 2):uint(), tvb(6, 2):uint()
  local name = name_of(kind, flags)
  item:append_text(", " .. name)
  item:add(f.name, name):set_generated()
  item:add(f.reserved, tvb(0, 2))
  local length = item:add(f.length, tvb(2, 2))
  if tvb(2, 2):uint() ~= tvb:len() then length:add_proto_expert_info(cut, "not the length of the datagram") end
  local bits = item:add(f.flags, tvb(4, 2))
  for _, one in ipairs({ f.r, f.s, f.c, f.a, f.p, f.i, f.e }) do bits:add(one, tvb(4, 2)) end
  local what = item:add(f.type, tvb(6, 2))
  if not types[kind] then what:add_proto_expert_info(bad, "no such message type") end
  check_flags(bits, kind, flags)
  local session = item:add(f.session, tvb(8, 4))
  item:add(f.sequence, tvb(12, 4))
  if (kind == 1 or kind == 5) and (tvb(8, 4):uint() ~= 0 or tvb(12, 4):uint() ~= 0) then
    session:add_proto_expert_info(bad, "session and sequence must be zero")
  end
  pinfo.cols.protocol = "PANA"
  if relayed then pinfo.cols.info:append(" {" .. name .. "}") else pinfo.cols.info = name end
  local codes = dissect_avps(tvb, HEADER, pinfo, item, root)
  if types[kind] then check_avps(item, kind, flags, codes, relayed) end
end

function pana.dissector(tvb, pinfo, tree)
  dissect_message(tvb, pinfo, tree, tree, false)
  return tvb:len()
end

DissectorTable.get("udp.port"):add(716, pana)
