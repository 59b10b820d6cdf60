output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "A private subnet a zone, in the zones' order."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]
}

output "zones" {
  description = "The zones, in the subnets' order."
  value       = local.zones
}
