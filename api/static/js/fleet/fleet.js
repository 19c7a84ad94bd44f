export class FleetView { constructor() {} visible() {} }
