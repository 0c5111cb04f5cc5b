# The two hosts of the demonstration, to be sourced by sim/demo (as root, from the repository root).
#
#   host  namespace     addresses on saline0 (the host's side of its card)        inner network
#   left  saline-left   10.1.0.1, .11, .21, .31 /24   fd00:1::1/64                192.168.1.1
#   right saline-right  10.1.0.2, .12, .22, .32 /24   fd00:1::2/64                192.168.2.1
#
# The cards' MAC sides are the two ends of a veth pair, both called `cable`.

state=/run/saline-demo
build=${build:-build/release}

in_host() { ip netns exec "saline-$1" "${@:2}"; }

hosts_exist() { [ -e "$state" ] || ip netns list | grep -q '^saline-\(left\|right\)\b'; }

# namespace, its end of the cable, and the daemon: host_up left 1 model
host_up() {
  local side=$1 number=$2 transport=$3
  in_host "$side" sysctl -q -w net.ipv6.conf.cable.disable_ipv6=1
  in_host "$side" ip link set cable mtu 9000 arp off up
  in_host "$side" ip link set lo up

  local wire="net_saline0,transport=$transport" wrapper=()
  if [ "$transport" = model ]; then
    wire+=",mac=iface:cable"
  else
    wire+=",device=0"
    wrapper=(sim/emulation/run -b "$build" -m iface:cable)
  fi
  # exec, so that the process written down is the daemon (or its wrapper) and no shell.
  (exec ip netns exec "saline-$side" "${wrapper[@]}" "$build/bin/salined" --no-huge --memory 256 \
    --host-port tap:saline0 --wire-port "$wire" \
    --socket "$state/$side.pfkey" --control "$state/$side.control" \
    >"$state/$side.log" 2>&1 </dev/null) &
  echo $! >"$state/$side.pid"

  local deadline=$((SECONDS + 60))
  until [ -S "$state/$side.pfkey" ] && in_host "$side" ip link show saline0 >/dev/null 2>&1; do
    if ! kill -0 "$(cat "$state/$side.pid")" 2>/dev/null || [ $SECONDS -gt $deadline ]; then
      printf 'sim/demo: the daemon of the %s host did not start; it said:\n' "$side" >&2
      return 1
    fi
    sleep 0.1
  done

  local last
  for last in "$number" "1$number" "2$number" "3$number"; do
    in_host "$side" ip address add "10.1.0.$last/24" dev saline0
  done
  in_host "$side" ip address add "fd00:1::$number/64" dev saline0 nodad
  in_host "$side" ip address add "192.168.$number.1/32" dev lo
  in_host "$side" ip link set saline0 up
  local peer=$((3 - number))
  in_host "$side" ip route add "192.168.$peer.0/24" via "10.1.0.$peer" dev saline0 \
    src "192.168.$number.1"
}

hosts_up() {
  mkdir -m 700 "$state"
  ip netns add saline-left
  ip netns add saline-right
  ip link add cable netns saline-left type veth peer name cable netns saline-right
  host_up left 1 "$1"
  host_up right 2 "$1"
}

hosts_key() {
  local side
  # setkey warns of key files that others can read, and rightly so.
  install -m 600 sim/scenario/associations.conf "$state/associations.conf"
  for side in left right; do
    SALINE_PFKEY="$state/$side.pfkey" "$build/bin/setkey" -f "$state/associations.conf"
    SALINE_PFKEY="$state/$side.pfkey" "$build/bin/setkey" -f "sim/scenario/$side.conf"
  done
}

hosts_logs() {
  local side
  for side in left right; do
    [ -s "$state/$side.log" ] || continue
    printf -- '--- the last lines of the %s daemon:\n' "$side" >&2
    tail -n 15 "$state/$side.log" >&2
  done
}

# Ends only the processes written down at start, and waits for them.
hosts_down() {
  local file pid tries
  for file in "$state"/*.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || continue
    for tries in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
  ip netns delete saline-left 2>/dev/null || true
  ip netns delete saline-right 2>/dev/null || true
  rm -rf "$state"
}

hosts_help() {
  cat <<HELP

The hosts stay up. For example, as root and from $PWD:
  export SALINE_PFKEY=$state/left.pfkey
  $build/bin/setkey -D            what the left host's SADB holds
  $build/bin/setkey -DP           its policies
  $build/bin/saline --control $state/left.control status
  ip netns exec saline-left ping 192.168.2.1
  ip netns exec saline-left tcpdump -ni cable
  sim/demo --stop                       takes everything down
HELP
}
