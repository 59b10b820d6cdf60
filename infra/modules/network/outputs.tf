output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "Private subnets, one per zone, in the order of the zones."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]
}

output "zones" {
  description = "Zones, in the order of the subnets."
  value       = local.zones
}
