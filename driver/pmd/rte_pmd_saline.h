/* What the net_saline poll mode driver offers beyond DPDK's own interfaces: why a received packet
 * was refused. A packet of an SA that failed a check is delivered with RTE_MBUF_F_RX_SEC_OFFLOAD
 * and RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED, cut to its first 128 bytes; the reason is in a dynamic mbuf
 * field. Header only, so that a program needs not link a driver it loads at run time. */
#ifndef RTE_PMD_SALINE_H
#define RTE_PMD_SALINE_H

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One uint8_t: a drop reason of docs/registers.md, 0 where nothing was refused. Valid in every mbuf
 * received from a net_saline port. */
#define RTE_PMD_SALINE_REASON_DYNFIELD "saline_dynfield_drop_reason"

/* Offset of that field, to be looked up once; negative while no net_saline port exists. */
static inline int rte_pmd_saline_reason_offset(void) {
  return rte_mbuf_dynfield_lookup(RTE_PMD_SALINE_REASON_DYNFIELD, NULL);
}

/* offset: not negative, from rte_pmd_saline_reason_offset(). */
static inline uint8_t rte_pmd_saline_reason(const struct rte_mbuf* mbuf, int offset) {
  return *RTE_MBUF_DYNFIELD(mbuf, offset, const uint8_t*);
}

#ifdef __cplusplus
}
#endif

#endif
